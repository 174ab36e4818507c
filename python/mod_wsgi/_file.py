"""``wsgi.file_wrapper``."""

import io


class FileWrapper(object):
    """Iterates over a file in blocks. Returned by the application as it is, it
    lets httpd send a regular file by itself."""

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
            binary = getattr(filelike, "buffer", filelike)  # what a text file decodes
            if not isinstance(getattr(binary, "raw", binary), io.FileIO):
                return None
        try:
            descriptor, offset = filelike.fileno(), filelike.tell()
        except Exception:  # whatever a file-like object may raise: it is iterated
            return None
        if type(descriptor) is not int or type(offset) is not int or descriptor < 0:
            return None
        # Where a text file was read from, its "offset" may hold the decoder's state, too.
        return (descriptor, offset) if 0 <= offset < 1 << 62 else None
