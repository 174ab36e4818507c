__file__ = @path@
with open(__file__, 'rb') as _file:
    _source = _file.read()
exec(compile(_source, __file__, 'exec'))
