# Makes the environment when there is none, installs, and starts the gateway. More words go to codex-nexus.
$ErrorActionPreference = 'Stop'
Set-Location -LiteralPath $PSScriptRoot
[Console]::OutputEncoding = [System.Text.Encoding]::UTF8

$Nexus = Join-Path $PSScriptRoot '.venv\Scripts\codex-nexus.exe'
if (-not (Test-Path -LiteralPath $Nexus)) {
    $Python = if (Get-Command py -ErrorAction SilentlyContinue) { @('py', '-3') } else { @('python') }
    $Command, $First = $Python[0], @($Python | Select-Object -Skip 1)
    & $Command @First -c 'import sys; sys.exit(sys.version_info < (3, 11))'
    if ($LASTEXITCODE -ne 0) { throw 'Codex Nexus needs Python 3.11 or newer: https://www.python.org/downloads/' }
    & $Command @First -m venv .venv
    if ($LASTEXITCODE -ne 0) { exit $LASTEXITCODE }
    & '.venv\Scripts\python.exe' -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable .
    if ($LASTEXITCODE -ne 0) { exit $LASTEXITCODE }
}
& $Nexus @args
exit $LASTEXITCODE
