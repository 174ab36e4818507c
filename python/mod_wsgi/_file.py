"""``wsgi.file_wrapper``."""

import io

_INTEGERS = (int, type(1 << 64))  # Python 2 has two kinds


class FileWrapper(object):
    """Iterates over a file in blocks. Returned by the application as it is, it
    lets httpd send a regular file by itself."""

    __module__ = "mod_wsgi"

    def __init__(self, filelike, blksize=8192):
        self.filelike = filelike
        self.blksize = blksize

    def __iter__(self):
        return self

    def __next__(self):
        block = self.filelike.read(self.blksize)
        if block:
            return block
        raise StopIteration

    next = __next__

    def close(self):
        close = getattr(self.filelike, "close", None)
        if close is not None:
            close()

    def plain_file(self):
        """Descriptor and offset, if read() gives the file's bytes as they are;
        a decompressing or decoding file has a descriptor, too."""
        filelike = self.filelike
        if isinstance(filelike, io.IOBase):
            if not isinstance(getattr(filelike, "raw", filelike), io.FileIO):
                return None
        elif "U" in str(getattr(filelike, "mode", "")):
            return None  # Python 2 translates line ends
        try:
            descriptor, offset = filelike.fileno(), filelike.tell()
        except Exception:  # whatever a file-like object may raise: it is iterated
            return None
        if type(descriptor) in _INTEGERS and type(offset) in _INTEGERS and min(
                descriptor, offset) >= 0:
            return descriptor, offset
        return None
