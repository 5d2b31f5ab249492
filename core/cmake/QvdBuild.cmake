# How everything in this tree is compiled, and the three ways to declare a part of it:
#   qvd_room(NAME SOURCES ... USES room...)      a static library; USES is the permission to include
#   qvd_program(NAME SOURCES ... USES room...)   an executable in core/programs
#   qvd_test(NAME SOURCES ... USES room... [LABELS ...] [TIMEOUT seconds] [APART word...])
#                                                a doctest executable; its suite "needs WORD", of cases
#                                                that some machines cannot run, is a test of its own
# Labels that the checks go by: `threads` runs under TSan, too; `unsanitized` does not work with a
# sanitizer in the process (a comment beside it says why).

set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_C_STANDARD 11)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
set(CMAKE_RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/bin)

# The plugins of a build tree lie where a node of that tree looks for them.
set(QVD_PLUGIN_OUTPUT_DIR ${CMAKE_BINARY_DIR}/plugins-out)
set(QVD_PLUGIN_INSTALL_DIR lib/qvd/plugins)
set(QVD_LIBEXEC_INSTALL_DIR lib/qvd/bin)

option(QVD_FUZZ "Build the fuzzers (clang only)" OFF)
set(QVD_SANITIZE "" CACHE STRING "Sanitizers, e.g. address,undefined or thread")

find_program(CCACHE ccache)
if(CCACHE AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
  set(CMAKE_C_COMPILER_LAUNCHER ${CCACHE})
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CCACHE})
endif()
find_program(MOLD mold)
if(MOLD)
  add_link_options(-fuse-ld=mold)
endif()

add_library(qvd_flags INTERFACE)
target_compile_options(qvd_flags INTERFACE
  -Wall -Wextra -Wpedantic -Wconversion -Wshadow -Werror
  $<$<COMPILE_LANGUAGE:CXX>:-Wnon-virtual-dtor -Woverloaded-virtual>
  -fstack-protector-strong)
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  # g++ 12 takes the recycled frames of Asio's coroutines for a mismatch once it optimises.
  target_compile_options(qvd_flags INTERFACE
    $<$<COMPILE_LANGUAGE:CXX>:-Wno-mismatched-new-delete>)
endif()
if(QVD_SANITIZE)
  add_compile_options(-fsanitize=${QVD_SANITIZE} -fno-omit-frame-pointer)
  add_link_options(-fsanitize=${QVD_SANITIZE})
  if(QVD_SANITIZE MATCHES undefined)
    # null and alignment take a third of the compiler's time to find what ends in a report of ASan's
    # anyway.
    add_compile_options(-fno-sanitize=null,alignment -fno-sanitize-recover=undefined)
  endif()
  if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    # g++ 12 warns wrongly inside standard headers once the sanitizers are on.
    target_compile_options(qvd_flags INTERFACE -Wno-maybe-uninitialized -Wno-stringop-overflow
                           $<$<COMPILE_LANGUAGE:CXX>:-Wno-restrict> -Wno-tsan)
  endif()
endif()

set(Boost_USE_STATIC_LIBS ON)
find_package(Boost 1.81 REQUIRED COMPONENTS program_options)
find_package(Threads REQUIRED)
find_package(OpenSSL 3 REQUIRED)
find_package(fmt REQUIRED)
find_package(PkgConfig REQUIRED)
pkg_check_modules(PQ REQUIRED IMPORTED_TARGET libpq)
pkg_check_modules(ARGON2 REQUIRED IMPORTED_TARGET libargon2)

# Asio and Beast, compiled once (core/base/asio.cpp) instead of in every file that includes them.
add_library(qvd_asio_flags INTERFACE)
target_compile_definitions(qvd_asio_flags INTERFACE
  BOOST_ASIO_SEPARATE_COMPILATION BOOST_BEAST_SEPARATE_COMPILATION
  BOOST_ASIO_NO_DEPRECATED BOOST_ASIO_DISABLE_BOOST_COROUTINE BOOST_DLL_USE_STD_FS
  BOOST_ERROR_CODE_HEADER_ONLY)
target_include_directories(qvd_asio_flags SYSTEM INTERFACE ${Boost_INCLUDE_DIRS})

function(qvd_room name)
  cmake_parse_arguments(ARG "" "" "SOURCES;USES;LIBRARIES" ${ARGN})
  add_library(qvd_${name} STATIC ${ARG_SOURCES})
  add_library(qvd::${name} ALIAS qvd_${name})
  target_include_directories(qvd_${name} PUBLIC ${PROJECT_SOURCE_DIR}/core)
  set(rooms ${ARG_USES})
  list(TRANSFORM rooms PREPEND qvd::)
  target_link_libraries(qvd_${name} PUBLIC ${rooms} ${ARG_LIBRARIES} PRIVATE qvd_flags)
  set_property(TARGET qvd_${name} PROPERTY QVD_ROOM_USES "${ARG_USES}")
endfunction()

function(qvd_program name)
  cmake_parse_arguments(ARG "" "DESTINATION" "SOURCES;USES;LIBRARIES" ${ARGN})
  add_executable(${name} ${ARG_SOURCES})
  set(rooms ${ARG_USES})
  list(TRANSFORM rooms PREPEND qvd::)
  target_link_libraries(${name} PRIVATE ${rooms} ${ARG_LIBRARIES} qvd_flags)
  if(NOT ARG_DESTINATION)
    set(ARG_DESTINATION ${CMAKE_INSTALL_BINDIR})
  endif()
  install(TARGETS ${name} DESTINATION ${ARG_DESTINATION})
endfunction()

function(qvd_test name)
  cmake_parse_arguments(ARG "" "TIMEOUT" "SOURCES;USES;LIBRARIES;LABELS;APART" ${ARGN})
  add_executable(${name} ${ARG_SOURCES} $<TARGET_OBJECTS:qvd_doctest>)
  set(rooms ${ARG_USES})
  list(TRANSFORM rooms PREPEND qvd::)
  target_include_directories(${name} PRIVATE ${PROJECT_SOURCE_DIR})
  target_link_libraries(${name} PRIVATE ${rooms} ${ARG_LIBRARIES} qvd_flags)
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests-bin)
  set(without)
  if(ARG_APART)
    set(without "--test-suite-exclude=needs *")
  endif()
  add_test(NAME ${name} COMMAND ${name} ${without})
  set(tests ${name})
  foreach(word ${ARG_APART})
    add_test(NAME ${name}.${word} COMMAND ${name} "--test-suite=needs ${word}")
    list(APPEND tests ${name}.${word})
  endforeach()
  if(NOT ARG_TIMEOUT)
    set(ARG_TIMEOUT 60)
  endif()
  if(QVD_SANITIZE)
    target_compile_definitions(${name} PRIVATE QVD_SANITIZED)
    math(EXPR ARG_TIMEOUT "3 * ${ARG_TIMEOUT}")
  endif()
  if("threads" IN_LIST ARG_LABELS)
    add_dependencies(tests_with_threads ${name})
  endif()
  set_tests_properties(${tests} PROPERTIES LABELS "${ARG_LABELS}" TIMEOUT ${ARG_TIMEOUT}
                       SKIP_RETURN_CODE 77)
endfunction()
