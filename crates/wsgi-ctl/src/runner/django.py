# Runs manage.py, which chooses the settings, and prints what a server needs of them.
import os
import runpy
import sys

manage = sys.argv[1]
sys.argv = [manage, 'version']
sys.path[0] = os.path.dirname(manage)
try:
    runpy.run_path(manage, run_name='__main__')
except SystemExit:
    pass
from django.conf import settings

print('')
print('=' + os.environ['DJANGO_SETTINGS_MODULE'])
print('=' + (getattr(settings, 'WSGI_APPLICATION', None) or ''))
print('=' + str(getattr(settings, 'STATIC_URL', None) or ''))
print('=' + str(getattr(settings, 'STATIC_ROOT', None) or ''))
