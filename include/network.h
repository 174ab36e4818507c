/* What httpd reads from a connection's socket, in pieces of a size that a request may choose. */
#ifndef MOD_WSGI_NETWORK_H
#define MOD_WSGI_NETWORK_H

#include "wrapper.h"

/* Has connections read through buckets of ours. */
void wsgi_network_register(void);

/* ap_get_brigade with AP_MODE_READBYTES for a request's body. Meanwhile its connection's
 * socket is read in large pieces, as far as `limit` asks for them. */
apr_status_t wsgi_read_body(request_rec *r, apr_bucket_brigade *brigade, apr_read_type_e block,
                            apr_off_t limit);

#endif
