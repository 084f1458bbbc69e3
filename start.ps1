# Makes the environment where there is none or the project has changed, and starts the gateway.
# More words go to codex-nexus: .\start.ps1 demo
# Where scripts are not allowed: powershell -ExecutionPolicy Bypass -File start.ps1
$Bin = Join-Path $PSScriptRoot '.venv\Scripts'
$Nexus = Join-Path $Bin 'codex-nexus.exe'
$Project = Join-Path $PSScriptRoot 'pyproject.toml'
$Installed = Join-Path $PSScriptRoot '.venv\installed.toml'

function Find-Python {
    foreach ($Words in @('py', '-3'), @('python'), @('python3')) {
        if (-not (Get-Command $Words[0] -CommandType Application -ErrorAction SilentlyContinue)) { continue }
        $Rest = @($Words | Select-Object -Skip 1)
        & $Words[0] @Rest -c 'import sys; sys.exit(sys.version_info < (3, 11))' *> $null
        if ($LASTEXITCODE -eq 0) { return , $Words }
    }
}

function Test-Installed {
    if (-not (Test-Path -LiteralPath $Nexus) -or -not (Test-Path -LiteralPath $Installed)) { return $false }
    (Get-FileHash -LiteralPath $Project).Hash -eq (Get-FileHash -LiteralPath $Installed).Hash
}

if (-not (Test-Installed)) {
    if (-not (Test-Path -LiteralPath $Nexus)) {
        $Python = Find-Python
        if (-not $Python) {
            [Console]::Error.WriteLine(
                'Codex Nexus needs Python 3.11 or newer, and found none: https://www.python.org/downloads/')
            exit 1
        }
        $Rest = @($Python | Select-Object -Skip 1)
        & $Python[0] @Rest -m venv (Join-Path $PSScriptRoot '.venv')
        if ($LASTEXITCODE -ne 0) { exit 1 }
    }
    [Console]::Error.WriteLine('Installing Codex Nexus into .venv; this takes a minute.')
    & (Join-Path $Bin 'python.exe') -m pip install --quiet --disable-pip-version-check `
        --constraint (Join-Path $PSScriptRoot 'constraints.txt') --editable $PSScriptRoot
    if ($LASTEXITCODE -ne 0) { exit 1 }
    Copy-Item -LiteralPath $Project -Destination $Installed -Force
}
& $Nexus @args
exit $LASTEXITCODE
