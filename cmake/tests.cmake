# SPDX-License-Identifier: Apache-2.0
# Native tests: one executable per line, each printing `N passed, N failed` last. The target
# effnet_tests builds them all; ctest, or scripts/native-tests.js, runs them.

# For tests only: the naive double-precision kernels that every other kernel is compared with.
if(EXISTS ${CMAKE_CURRENT_SOURCE_DIR}/native/kernels/reference.cc)
  add_library(effnet_reference STATIC native/kernels/reference.cc)
  target_link_libraries(effnet_reference PUBLIC effnet_core)
endif()

add_custom_target(effnet_tests)
function(effnet_test name)
  if(NOT EXISTS ${CMAKE_CURRENT_SOURCE_DIR}/test/native/${name}.cc)
    message(WARNING "test/native/${name}.cc is not there yet")
    return()
  endif()
  add_executable(${name} test/native/${name}.cc ${ARGN})
  target_link_libraries(${name} PRIVATE effnet_core $<TARGET_NAME_IF_EXISTS:effnet_reference>)
  target_include_directories(${name} PRIVATE test/native)
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests)
  if(NOT EFFNET_BUILD_TESTS)
    set_target_properties(${name} PROPERTIES EXCLUDE_FROM_ALL ON)
  endif()
  add_dependencies(effnet_tests ${name})
  add_test(NAME ${name} COMMAND ${name} WORKING_DIRECTORY ${CMAKE_CURRENT_SOURCE_DIR})
endfunction()

file(GLOB found RELATIVE ${CMAKE_CURRENT_SOURCE_DIR}/test/native CONFIGURE_DEPENDS test/native/*_test.cc)
foreach(source IN LISTS found)
  string(REPLACE ".cc" "" name ${source})
  effnet_test(${name})
endforeach()
