# SPDX-License-Identifier: MIT
# Part of `cmake --install`: writes into the installed PROGRAM that its tools are in FOLDER (shield/cmd/tool.c). Its section for
# that has 1024 bytes, and keeps them. SECTION: a file for them.
string(LENGTH "${FOLDER}" length)
if(length GREATER 1023)
  message(FATAL_ERROR "${FOLDER}: the path is too long for a folder of tools; choose a shorter prefix")
endif()
file(WRITE ${SECTION} "${FOLDER}")
execute_process(COMMAND truncate -s 1024 ${SECTION} COMMAND_ERROR_IS_FATAL ANY)
execute_process(COMMAND ${OBJCOPY} --update-section .shield.tools=${SECTION} $ENV{DESTDIR}${PROGRAM} COMMAND_ERROR_IS_FATAL ANY)
