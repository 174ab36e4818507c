import importlib

application = importlib.import_module(@module@)
for _name in @object@.split('.'):
    application = getattr(application, _name)
