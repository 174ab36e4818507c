//! mod_wsgi
