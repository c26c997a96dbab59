# SPDX-License-Identifier: Apache-2.0
# The addon, efficientnet_simd.node. cmake-js passes the headers and, on Windows, the import library
# and the delay-load hook; without cmake-js the headers are found through Node's own resolution.

if(NOT DEFINED CMAKE_JS_INC)
  if(WIN32)
    message(FATAL_ERROR "On Windows the addon is built through cmake-js: run `npm run build:native`, or pass -DEFFNET_BUILD_ADDON=OFF")
  endif()
  find_program(EFFNET_NODE NAMES node nodejs)
  if(NOT EFFNET_NODE)
    message(FATAL_ERROR "Node was not found, and the addon needs its headers: put `node` on PATH, or pass -DEFFNET_BUILD_ADDON=OFF")
  endif()
  execute_process(
    COMMAND ${EFFNET_NODE} -p "[require('node-api-headers').include_dir, require('path').dirname(require.resolve('node-addon-api/package.json'))].join(';')"
    WORKING_DIRECTORY ${CMAKE_CURRENT_SOURCE_DIR}
    OUTPUT_VARIABLE CMAKE_JS_INC OUTPUT_STRIP_TRAILING_WHITESPACE
    ERROR_QUIET RESULT_VARIABLE EFFNET_NODE_RESULT)
  if(NOT EFFNET_NODE_RESULT EQUAL 0)
    message(FATAL_ERROR "node-api-headers or node-addon-api is missing: run `npm install` first, or pass -DEFFNET_BUILD_ADDON=OFF")
  endif()
endif()

# SHARED, not MODULE: cmake-js puts the linker flags that macOS and Windows need into the former.
add_library(efficientnet_simd SHARED
  native/node/addon.cc
  native/node/convolution_bench.cc
  native/node/image_jobs.cc
  native/node/job.cc
  native/node/kernel_bench.cc
  native/node/network_values.cc
  native/node/open.cc
  native/node/report.cc
  native/node/runner.cc
  native/node/session.cc
  native/node/values.cc
  native/node/vector_bench.cc
  ${CMAKE_JS_SRC})
set_target_properties(efficientnet_simd PROPERTIES PREFIX "" SUFFIX ".node")
if(NOT CMAKE_LIBRARY_OUTPUT_DIRECTORY AND NOT CMAKE_RUNTIME_OUTPUT_DIRECTORY)
  # Where lib/binding.ts looks, when the build folder is called `build`.
  set_target_properties(efficientnet_simd PROPERTIES LIBRARY_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/$<CONFIG>)
endif()
target_include_directories(efficientnet_simd SYSTEM PRIVATE ${CMAKE_JS_INC})
if(EFFNET_NODE_ADDON_API)  # from scripts/build-native.js, where the headers lie outside the package
  target_include_directories(efficientnet_simd SYSTEM PRIVATE ${EFFNET_NODE_ADDON_API})
endif()
target_compile_definitions(efficientnet_simd PRIVATE
  NAPI_VERSION=8
  NAPI_CPP_EXCEPTIONS
  NODE_GYP_MODULE_NAME=efficientnet_simd
  NODE_API_NO_EXTERNAL_BUFFERS_ALLOWED
  NODE_API_SWALLOW_UNTHROWABLE_EXCEPTIONS)
target_link_libraries(efficientnet_simd PRIVATE effnet_core ${CMAKE_JS_LIB})

# Nothing but Node's two entry points leaves the addon; std templates would, without these lists.
if(WIN32)
  target_link_options(efficientnet_simd PRIVATE /DELAYLOAD:NODE.EXE)
  target_link_libraries(efficientnet_simd PRIVATE delayimp)
  if(CMAKE_JS_NODELIB_DEF AND CMAKE_JS_NODELIB_TARGET)
    execute_process(COMMAND ${CMAKE_AR} /def:${CMAKE_JS_NODELIB_DEF} /out:${CMAKE_JS_NODELIB_TARGET} ${CMAKE_STATIC_LINKER_FLAGS})
  endif()
elseif(APPLE)
  target_link_options(efficientnet_simd PRIVATE
    -Wl,-undefined,dynamic_lookup
    -Wl,-exported_symbols_list,${CMAKE_CURRENT_SOURCE_DIR}/cmake/exports.macos
    "$<$<CONFIG:Release>:-Wl,-x>")
else()
  target_link_options(efficientnet_simd PRIVATE
    -Wl,--version-script,${CMAKE_CURRENT_SOURCE_DIR}/cmake/exports.linux
    -Wl,--gc-sections
    "$<$<CONFIG:Release>:-s>")
endif()
