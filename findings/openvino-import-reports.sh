#!/usr/bin/env bash
# Importing OpenVINO's Python package to run a model.
#
# One would guess: `import openvino` loads a runtime, writes nothing, and talks to nobody.
# What happens: with openvino 2026.4.1 the import also loads the tools for conversion, and these send an event "import"
# over the network by the package openvino-telemetry, which is always installed with it. It makes a folder `intel` in
# the home folder with a number for this user. Nobody is asked; only a refusal that was stored before, or a variable that
# says that this is continuous integration, prevents it.
# What to do: hide the package openvino_telemetry while openvino is imported, which falls back to a stub that does
# nothing, or refuse once with the package's own command `opt_in_out --opt_out`.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/pip" install --quiet numpy==2.4.6 openvino==2026.4.1
mkdir "$folder/as-it-is" "$folder/hidden"
import_in() { # the home folder, and a line to run first
    env -u CI -u TF_BUILD -u JENKINS_URL HOME="$1" "$folder/env/bin/python" -c "import sys; $2
import openvino
print('openvino', openvino.__version__, '-', 'with' if sys.modules.get('openvino_telemetry') else 'without', 'openvino_telemetry')"
    find "$1" -type f -printf '  written: %P\n' | sort
}
echo "as it is:"
import_in "$folder/as-it-is" "pass"
echo "with openvino_telemetry hidden:"
import_in "$folder/hidden" "sys.modules['openvino_telemetry'] = None"
test -s "$folder/as-it-is/intel/openvino_ga_cid" || { echo "no number is made any more: the behaviour has changed"; exit 1; }
test -z "$(find "$folder/hidden" -type f)" || { echo "hiding it does not help any more"; exit 1; }
