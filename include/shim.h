/* What only C can say: macros, bit-fields, inline functions. */
#ifndef MOD_WSGI_SHIM_H
#define MOD_WSGI_SHIM_H

#include "network.h"
#include "probe.h"
#include "wrapper.h"

/* Brigades: rings, and calls through a bucket's type. */
void wsgi_brigade_append(apr_bucket_brigade *brigade, apr_bucket *bucket);
int wsgi_brigade_is_empty(apr_bucket_brigade *brigade);
apr_bucket *wsgi_brigade_first(apr_bucket_brigade *brigade);
void wsgi_bucket_delete(apr_bucket *bucket);
int wsgi_bucket_is_eos(apr_bucket *bucket);
int wsgi_bucket_is_metadata(apr_bucket *bucket);
/* Takes a bucket's data, which stays where it is as long as the bucket that now is the last
 * of `brigade`. Without data, also after an error, *data is NULL and the bucket gone. */
apr_status_t wsgi_bucket_keep(apr_bucket *bucket, apr_bucket_brigade *brigade, const char **data,
                              apr_size_t *length, int nonblocking);

/* Bit-fields of request_rec and conn_rec. */
int wsgi_request_expecting_100(const request_rec *r);
int wsgi_connection_aborted(const conn_rec *c);
void wsgi_connection_close(conn_rec *c);

/* Sends an interim response: a status line of its own ("103 Early Hints") and fields. The
 * request stays as it was, and 100 Continue is still sent when it is due. */
void wsgi_send_interim_response(request_rec *r, int status, const char *line,
                                apr_table_t *fields);

/* Whether any output filter of r would change content (WSGIMapHEADToGET Auto). */
int wsgi_request_has_content_filters(const request_rec *r);

/* A part of a file as a bucket: sent by sendfile(2), never mapped. The descriptor is
 * closed with the pool. NULL if memory is out. */
apr_bucket *wsgi_file_bucket(int descriptor, apr_off_t offset, apr_size_t length,
                             apr_pool_t *pool, apr_bucket_alloc_t *list);

/* EnableSendfile On. */
int wsgi_request_may_sendfile(const request_rec *r);

/* CGIPassAuth On. */
int wsgi_request_passes_authorization(const request_rec *r);

/* What CGIVar says REQUEST_URI to be; NULL for the client's own. */
const char *wsgi_request_current_uri(const request_rec *r);

/* The URL that httpd redirected from within itself, as QualifyRedirectURL says; NULL for none. */
const char *wsgi_request_redirect_url(request_rec *r);

/* "%{...}" free logging: the text is never a format. */
void wsgi_log_server(const char *file, int line, int module_index, int level, apr_status_t status,
                     const server_rec *s, const char *text, apr_size_t length);
void wsgi_log_request(const char *file, int line, int module_index, int level,
                      apr_status_t status, const request_rec *r, const char *text,
                      apr_size_t length);
int wsgi_log_server_level(const server_rec *s, int module_index);
int wsgi_log_request_level(const request_rec *r, int module_index);

/* Optional functions have typed macros only. */
int wsgi_connection_is_https(conn_rec *c);

/* Adds to mod_status' page, if there is one. */
void wsgi_hook_status(int (*hook)(request_rec *r, int flags));

/* mod_unixd's user, and whether httpd may change users at all. */
unsigned int wsgi_unixd_user_id(void);
unsigned int wsgi_unixd_group_id(void);
const char *wsgi_unixd_user_name(void);

#endif
