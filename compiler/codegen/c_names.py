"""Names that the files and functions of a standalone network can begin with."""

from __future__ import annotations

import re

_NAME = re.compile(r"[a-z][a-z0-9_]{0,39}")
_FILES = "example kernels main weights"
"""What else lies in the folder."""
_TARGETS = """
all clean codegen depend edit_cache help install list_install_components package package_source preinstall
rebuild_cache test
"""
"""Targets of the Makefile, and of what CMake generates."""
_LIBRARIES = """
anl asan atomic bsd c c_nonshared crypt dl g gcc gcc_eh gcc_s gcov gomp itm lsan m mvec nsl quadmath resolv rt ssp supc
tsan ubsan util
"""
"""Libraries of glibc's and GCC's: `-l` would find the network's own instead."""
_HEADERS = """
aio aliases alloca ar argp argz assert byteswap complex cpio cpuid ctype dirent dlfcn elf endian envz err errno error
execinfo fcntl features fenv float fmtmsg fnmatch fpu_control fstab fts ftw getopt glob grp gshadow iconv ieee754
ifaddrs inttypes iso646 langinfo lastlog libgen libintl limits link locale malloc math mcheck memory mm_malloc mntent
monetary mqueue netdb nl_types nss obstack omp openacc paths poll printf proc_service pthread pty pwd re_comp regex
regexp resolv sched search semaphore setjmp sgtty shadow signal spawn stab stdalign stdarg stdatomic stdbit stdbool
stdckdint stddef stdfix stdint stdio stdio_ext stdlib stdnoreturn string strings stropts syscall sysexits syslimits
syslog tar termio termios tgmath thread_db threads time ttyent uchar ucontext ulimit unistd unwind utime utmp utmpx
values varargs wait wchar wctype wordexp
"""
"""Headers of C's, of glibc's and GCC's: `#include` would find the network's own instead. Those of processors' own
instructions end in `intrin`."""
_TAKEN = frozenset(f"{_FILES} {_TARGETS} {_LIBRARIES} {_HEADERS}".split())


class BadName(ValueError):
    """A name that functions of C cannot begin with; the message says why."""


def check_name(name: str) -> str:
    """The name, where files, functions and macros of C can begin with it.

    Raises:
        BadName: they cannot.
    """
    if not _NAME.fullmatch(name) or name.endswith("_"):
        raise BadName(
            f"`{name}` is no name for C: write a small letter, then small letters, digits and underlines, at most 40, "
            "as in `face_finder`"
        )
    if name in _TAKEN or name.endswith("intrin"):
        raise BadName(
            f"`{name}` is the name of another file, library or target of make; choose one as `{name}_net`"
        )
    return name
