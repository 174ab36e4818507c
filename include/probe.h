/* A request that nobody sent: mapped by all modules, answered by none. */
#ifndef MOD_WSGI_PROBE_H
#define MOD_WSGI_PROBE_H

#include "wrapper.h"

/* Has later probes skip the questions who the client is and whether it is let in. */
void wsgi_probe_register(void);

/* Gives up root's rights as httpd's children do: what .htaccess files make run from now
 * on is not run by root. Whether that was possible. */
int wsgi_probe_begin(apr_pool_t *pool, server_rec *base);

/* Maps the URI path at this address, port and Host, as httpd would for GET, with TLS or
 * without. What the mapping ended with goes to *status. NULL if the address is none, or
 * if this httpd is older than 2.4.49. */
request_rec *wsgi_probe(apr_pool_t *pool, server_rec *base, const char *address,
                        unsigned short port, int https, const char *host, const char *uri,
                        int *status);

/* First address that httpd listens on at the port; NULL if it does not. */
const char *wsgi_listens(unsigned short port);

#endif
