# SPDX-License-Identifier: Apache-2.0
# Cross build for 64-bit ARM Linux; tests run under QEMU. Debian and Ubuntu:
#   apt-get install -y g++-12-aarch64-linux-gnu qemu-user
#   cmake -S . -B build-aarch64 --toolchain cmake/aarch64-linux-gnu.cmake
# QEMU_CPU=cortex-a53 (or max) in the environment chooses the processor.
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR aarch64)
find_program(CMAKE_CXX_COMPILER NAMES aarch64-linux-gnu-g++-12 aarch64-linux-gnu-g++ REQUIRED)
set(CMAKE_CROSSCOMPILING_EMULATOR "qemu-aarch64;-L;/usr/aarch64-linux-gnu")
set(CMAKE_FIND_ROOT_PATH /usr/aarch64-linux-gnu)
set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)
set(CMAKE_FIND_ROOT_PATH_MODE_LIBRARY ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_INCLUDE ONLY)
