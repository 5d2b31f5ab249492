"""Makes the tests' guest in a folder: vmlinux, an uncompressed kernel, which QEMU enters at once (PVH),
and initrd.gz, busybox with the few modules that a virtual machine needs. The kernel comes from a
package that is fetched and unpacked, never installed.

    make_guest.py FOLDER    exit status 77, and why, if this machine cannot"""

import ctypes
import fcntl
import gzip
import io
import lzma
import os
import pathlib
import re
import struct
import subprocess
import sys
import zlib

MODULES = """virtio_ring virtio virtio_pci_modern_dev virtio_pci_legacy_dev virtio_pci virtio_blk failover
net_failover virtio_net button evdev qemu_fw_cfg pvpanic pvpanic-mmio""".split()
FOLDERS = "bin dev proc sys tmp www www/cgi-bin modules etc etc/acpi etc/acpi/PWRF".split()


def skip(why):
    print(f"skipped: {why}", flush=True)
    sys.exit(77)


def output(*command, folder=None):
    done = subprocess.run(command, capture_output=True, text=True, cwd=folder)
    if done.returncode != 0:
        skip(f"{' '.join(command)} failed: {done.stderr.strip()[-300:]}")
    return done.stdout


def kernel_name():
    said = subprocess.run(["apt-cache", "depends", "linux-image-cloud-amd64"], capture_output=True,
                          text=True, check=False).stdout
    return re.search(r"Depends: (linux-image-\S+)", said)


def kernel_package(folder):
    """The unpacked package of the distribution's kernel for virtual machines."""
    there = sorted(folder.glob("package/boot/vmlinuz-*"))
    if there:
        return there[0]
    if not list(folder.glob("linux-image-*.deb")):
        if not kernel_name():
            output("apt-get", "-q", "update")
        found = kernel_name()
        if not found:
            skip("this distribution has no linux-image-cloud-amd64, whose kernel the guests run")
        output("apt-get", "-q", "download", found.group(1), folder=folder)
    output("dpkg", "-x", str(next(folder.glob("linux-image-*.deb"))), str(folder / "package"))
    return sorted(folder.glob("package/boot/vmlinuz-*"))[0]


def lz4_legacy(packed):
    library = ctypes.CDLL("liblz4.so.1")
    room = ctypes.create_string_buffer(8 << 20)
    parts, at = [], 4
    while at + 4 <= len(packed):
        (size,) = struct.unpack_from("<I", packed, at)
        at += 4
        if at + size > len(packed):
            break  # the last word is the unpacked size
        got = library.LZ4_decompress_safe(packed[at : at + size], room, size, 8 << 20)
        if got < 0:
            skip("the kernel's payload is broken")
        parts.append(room.raw[:got])
        at += size
    return b"".join(parts)


def unpack_kernel(image):
    """The ELF file inside a bzImage."""
    data = image.read_bytes()
    begin = ((data[0x1F1] or 4) + 1) * 512
    offset, length = struct.unpack_from("<II", data, 0x248)
    payload = data[begin + offset : begin + offset + length]
    if payload[:4] == b"\x02\x21\x4c\x18":
        return lz4_legacy(payload)
    if payload[:6] == b"\xfd7zXZ\0":
        return lzma.LZMADecompressor().decompress(payload)
    if payload[:2] == b"\x1f\x8b":
        return zlib.decompressobj(31).decompress(payload)
    skip("the kernel is packed in a way that this script does not know")


def newc(archive, name, mode, content=b""):
    newc.inode += 1
    fields = [newc.inode, mode, 0, 0, 1, 0, len(content), 0, 0, 0, 0, len(name) + 1, 0]
    entry = b"070701" + b"".join(b"%08X" % field for field in fields) + name.encode() + b"\0"
    archive.write(entry + b"\0" * (-len(entry) % 4) + content + b"\0" * (-len(content) % 4))


newc.inode = 0


def make_initrd(kernel, target):
    tree = kernel.parent.parent / "lib/modules"
    modules = {path.stem: path for path in tree.glob("**/*.ko")}
    here = pathlib.Path(__file__).parent
    archive = io.BytesIO()
    for folder in FOLDERS:
        newc(archive, folder, 0o040755)
    newc(archive, "bin/busybox", 0o100755, pathlib.Path("/bin/busybox").read_bytes())
    newc(archive, "bin/sh", 0o120777, b"busybox")
    newc(archive, "init", 0o100755, (here / "guest/init").read_bytes())
    newc(archive, "www/cgi-bin/run", 0o100755, (here / "guest/run").read_bytes())
    newc(archive, "etc/acpi/PWRF/00000080", 0o100755, b"#!/bin/sh\npoweroff -f\n")
    newc(archive, "etc/modules", 0o100644, "\n".join(m for m in MODULES if m in modules).encode() + b"\n")
    for name in MODULES:
        if name in modules:
            newc(archive, f"modules/{name}.ko", 0o100644, modules[name].read_bytes())
    newc(archive, "TRAILER!!!", 0)
    target.write_bytes(gzip.compress(archive.getvalue(), 1))


def main():
    folder = pathlib.Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    if not pathlib.Path("/bin/busybox").exists():
        skip("the guests need busybox-static")
    with open(folder / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        image = kernel_package(folder)
        vmlinux = folder / "vmlinux"
        if not vmlinux.exists():
            (folder / "vmlinux.new").write_bytes(unpack_kernel(image))
            os.rename(folder / "vmlinux.new", vmlinux)
        make_initrd(image, folder / "initrd.new")
        os.rename(folder / "initrd.new", folder / "initrd.gz")


main()
