# qvd_add_plugin(NAME source... [LIBRARIES library...])
#
# Builds the target qvd-NAME, a file qvd-NAME.so that exports nothing but its entry and has no symbol
# left undefined; installs it into QVD_PLUGIN_INSTALL_DIR (default lib/qvd/plugins); and, where
# qvd-plugin-check is at hand and testing is on, has ctest check it.
function(qvd_add_plugin name)
  cmake_parse_arguments(ARG "" "" "SOURCES;LIBRARIES" ${ARGN})
  set(target qvd-${name})
  set(map ${CMAKE_CURRENT_FUNCTION_LIST_DIR}/qvd-plugin.map)
  add_library(${target} MODULE ${ARG_SOURCES} ${ARG_UNPARSED_ARGUMENTS})
  target_link_libraries(${target} PRIVATE qvd::sdk ${ARG_LIBRARIES})
  set_target_properties(${target} PROPERTIES
    PREFIX ""
    SUFFIX ".so"
    C_VISIBILITY_PRESET hidden
    CXX_VISIBILITY_PRESET hidden
    VISIBILITY_INLINES_HIDDEN ON
    LINK_DEPENDS ${map})
  if(CMAKE_C_COMPILER_LOADED)
    target_compile_features(${target} PRIVATE c_std_11)
  endif()
  if(CMAKE_CXX_COMPILER_LOADED)
    target_compile_features(${target} PRIVATE cxx_std_17)
  endif()
  target_link_options(${target} PRIVATE LINKER:--version-script=${map} LINKER:-z,now)
  # A sanitizer's functions are in the program that loads the plugin.
  if(NOT QVD_SANITIZE)
    target_link_options(${target} PRIVATE LINKER:-z,defs)
  endif()
  # Within QVD's own tree: its warnings, and where a node of that build looks for plugins.
  if(TARGET qvd_flags)
    target_link_libraries(${target} PRIVATE qvd_flags)
  endif()
  if(QVD_PLUGIN_OUTPUT_DIR)
    set_target_properties(${target} PROPERTIES LIBRARY_OUTPUT_DIRECTORY ${QVD_PLUGIN_OUTPUT_DIR})
  endif()
  if(NOT QVD_PLUGIN_INSTALL_DIR)
    set(QVD_PLUGIN_INSTALL_DIR lib/qvd/plugins)
  endif()
  install(TARGETS ${target} LIBRARY DESTINATION ${QVD_PLUGIN_INSTALL_DIR} COMPONENT plugins)
  qvd_check_plugin(${name})
endfunction()

# The test that qvd-NAME.so keeps the rules.
function(qvd_check_plugin name)
  if(NOT BUILD_TESTING)
    return()
  endif()
  if(TARGET qvd-plugin-check)
    set(check qvd-plugin-check)
  else()
    find_program(QVD_PLUGIN_CHECK qvd-plugin-check)
    if(NOT QVD_PLUGIN_CHECK)
      return()
    endif()
    set(check ${QVD_PLUGIN_CHECK})
  endif()
  add_test(NAME qvd-${name}.conforms COMMAND ${check} $<TARGET_FILE:qvd-${name}>)
  set_tests_properties(qvd-${name}.conforms PROPERTIES TIMEOUT 60 SKIP_RETURN_CODE 77)
endfunction()
