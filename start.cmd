@echo off
rem Makes the environment when there is none, installs, and starts the gateway. More words go to codex-nexus.
setlocal
cd /d "%~dp0"
chcp 65001 >nul
if exist ".venv\Scripts\codex-nexus.exe" goto start
set "PY=python"
where py >nul 2>nul && set "PY=py -3"
%PY% -c "import sys; sys.exit(sys.version_info < (3, 11))" || goto nopython
%PY% -m venv .venv || exit /b 1
".venv\Scripts\python.exe" -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable . || exit /b 1
:start
".venv\Scripts\codex-nexus.exe" %*
exit /b %errorlevel%
:nopython
echo Codex Nexus needs Python 3.11 or newer: https://www.python.org/downloads/ 1>&2
exit /b 1
