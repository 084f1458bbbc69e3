@echo off
rem Makes the environment where there is none or the project has changed, and starts the gateway.
rem More words go to codex-nexus: start.cmd demo
setlocal
set "PYTHON="
set "HERE=%~dp0"
set "BIN=%HERE%.venv\Scripts"
set "INSTALLED=%HERE%.venv\installed.toml"
if not exist "%BIN%\codex-nexus.exe" goto find
fc /b "%HERE%pyproject.toml" "%INSTALLED%" >nul 2>nul
if %errorlevel% equ 0 goto start
goto install

:find
for %%P in ("py -3" "python" "python3") do call :try %%~P
if defined PYTHON goto make
echo Codex Nexus needs Python 3.11 or newer, and found none: https://www.python.org/downloads/ 1>&2
exit /b 1

:make
call %PYTHON% -m venv "%HERE%.venv"
if %errorlevel% neq 0 exit /b 1

:install
echo Installing Codex Nexus into "%HERE%.venv"; this takes a minute. 1>&2
"%BIN%\python.exe" -m pip install --quiet --disable-pip-version-check --constraint "%HERE%constraints.txt" --editable "%HERE%."
if %errorlevel% neq 0 exit /b 1
copy /y "%HERE%pyproject.toml" "%INSTALLED%" >nul

:start
chcp 65001 >nul
"%BIN%\codex-nexus.exe" %*
exit /b %errorlevel%

:try
rem The first that is there and new enough; "python" may be a stub that only opens a shop.
if defined PYTHON exit /b 0
call %* -c "import sys; sys.exit(sys.version_info < (3, 11))" >nul 2>nul
if %errorlevel% equ 0 set "PYTHON=%*"
exit /b 0
