# SPDX-License-Identifier: Apache-2.0
# Native tests: one executable per line, each printing `N passed, N failed` last. The target
# effnet_tests builds them all; ctest, or scripts/native-tests.js, runs them.

# For tests only: the naive double-precision kernels that every other kernel is compared with.
add_library(effnet_reference STATIC EXCLUDE_FROM_ALL native/kernels/reference.cc)
target_link_libraries(effnet_reference PUBLIC effnet_core)

add_custom_target(effnet_tests)
function(effnet_test name)
  add_executable(${name} test/native/${name}.cc)
  target_link_libraries(${name} PRIVATE effnet_reference)
  target_include_directories(${name} PRIVATE test/native)
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests)
  if(NOT EFFNET_BUILD_TESTS)
    set_target_properties(${name} PROPERTIES EXCLUDE_FROM_ALL ON)
  endif()
  add_dependencies(effnet_tests ${name})
  add_test(NAME ${name} COMMAND ${name} WORKING_DIRECTORY ${CMAKE_CURRENT_SOURCE_DIR})
endfunction()

effnet_test(conv_test)
effnet_test(cpu_test)
effnet_test(depthwise_test)
effnet_test(elementwise_test)
effnet_test(engine_behaviour_test)
effnet_test(engine_errors_test)
effnet_test(engine_test)
effnet_test(gemm_test)
effnet_test(gemv_test)
effnet_test(image_golden_test)
effnet_test(image_limits_test)
effnet_test(image_test)
effnet_test(lanes_test)
effnet_test(pack_test)
effnet_test(pool_test)
effnet_test(probe_test)
effnet_test(resample_test)
effnet_test(stored_weights_test)

# A test that is not listed would never fail.
file(GLOB found RELATIVE ${CMAKE_CURRENT_SOURCE_DIR}/test/native CONFIGURE_DEPENDS test/native/*_test.cc)
foreach(source IN LISTS found)
  get_filename_component(name ${source} NAME_WE)
  if(NOT TARGET ${name})
    message(FATAL_ERROR "test/native/${source} is not listed in cmake/tests.cmake")
  endif()
endforeach()
