#!/usr/bin/env bash
# Makes a CUDA 13.0 toolkit, enough to build the features `cuda` and `cudnn`, from NVIDIA's wheels on PyPI:
#
#     scripts/cuda/toolkit_from_wheels.sh FOLDER [COMPUTE_CAPABILITY]
#     . FOLDER/env.sh
#
# For Linux (tried on x86-64). Needs pip, a C compiler and 4 GB, but no driver, no GPU and no administrator's rights.
set -euo pipefail

root=${1:?usage: $0 FOLDER [COMPUTE_CAPABILITY]}
capability=${2:-90}
if [ -e "$root" ]; then
    echo "$root exists already; remove it or name another folder" >&2
    exit 1
fi
mkdir -p "$root"
root=$(realpath "$root")

# cuDNN is of the version whose interface candle's bindings (the crate cudarc) were made from.
"${PYTHON:-python3}" -m pip install --no-deps --only-binary :all: --target "$root/wheels" \
    'nvidia-cuda-nvcc==13.0.*' 'nvidia-cuda-crt==13.0.*' 'nvidia-nvvm==13.0.*' 'nvidia-cuda-cccl==13.0.*' \
    'nvidia-cuda-runtime==13.0.*' 'nvidia-cuda-nvrtc==13.0.*' 'nvidia-cublas==13.0.*' 'nvidia-curand==10.4.0.*' \
    'nvidia-cudnn-cu13==9.21.*'

# One tree out of two, laid out as an installed toolkit.
mv "$root"/wheels/nvidia/cu13/* "$root"/
mv "$root"/wheels/nvidia/cudnn/include/* "$root"/include/
mv "$root"/wheels/nvidia/cudnn/lib/* "$root"/lib/
rm -r "$root/wheels"
ln -s lib "$root/lib64"

# Wheels hold libNAME.so.VERSION; the linker looks for libNAME.so.
for library in cublas cublasLt cudart curand nvrtc cudnn; do
    versioned=("$root/lib/lib$library.so".*)
    ln -s "$(basename "${versioned[0]}")" "$root/lib/lib$library.so"
done

# The driver's library comes with a driver only. To link, a stand-in is enough: every function that cuda.h declares,
# each returning CUDA_ERROR_STUB_LIBRARY (34). It is found when linking only; a program loads the driver's libcuda.so.1.
mkdir "$root/lib/stubs"
cc=${CC:-cc}
"$cc" -E -P "$root/include/cuda.h" | grep -oE '\bcu[A-Z][A-Za-z0-9_]*[[:space:]]*\(' | tr -d ' \t(' | sort -u |
    sed 's/.*/int &(void) { return 34; }/' |
    "$cc" -w -shared -fPIC -Wl,-soname,libcuda.so.1 -o "$root/lib/stubs/libcuda.so" -x c -

cat >"$root/env.sh" <<END
export CUDA_HOME='$root' CUDA_COMPUTE_CAP='$capability'
export PATH='$root/bin':"\$PATH"
# To run what was built. The stub is not in this folder.
export LD_LIBRARY_PATH='$root/lib'\${LD_LIBRARY_PATH:+:\$LD_LIBRARY_PATH}
END
"$root/bin/nvcc" --version | tail -n 2
echo "Next: . $root/env.sh"
