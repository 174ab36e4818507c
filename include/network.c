/* See network.h. httpd's own bucket asks its socket for 8,000 bytes at a time, which makes 131
 * system calls of a body of a megabyte. This one does the same, but while this module reads
 * a body. *Runs in:* httpd child, on the connection's thread. */
#include "network.h"

/* Bytes of a body that are asked for at a time. */
#define LARGE 65536

extern module AP_MODULE_DECLARE_DATA wsgi_module;

struct network {
    apr_socket_t *socket;
    /* Bytes to be asked for at a time. */
    apr_size_t piece;
};

static apr_status_t receive(apr_bucket *bucket, const char **data, apr_size_t *length,
                            apr_read_type_e block);

static const apr_bucket_type_t network_bucket = {
    "WSGI_NETWORK", 5, APR_BUCKET_DATA, apr_bucket_destroy_noop, receive,
    apr_bucket_setaside_notimpl, apr_bucket_split_notimpl, apr_bucket_copy_notimpl
};

static apr_bucket *network_bucket_create(struct network *network, apr_bucket_alloc_t *list)
{
    apr_bucket *bucket = apr_bucket_alloc(sizeof(*bucket), list);

    APR_BUCKET_INIT(bucket);
    bucket->free = apr_bucket_free;
    bucket->list = list;
    bucket->type = &network_bucket;
    bucket->length = (apr_size_t)-1;
    bucket->start = -1;
    bucket->data = network;
    return bucket;
}

/* Becomes a bucket of what came, with the socket's bucket behind it; at the end an empty one. */
static apr_status_t receive(apr_bucket *bucket, const char **data, apr_size_t *length,
                            apr_read_type_e block)
{
    struct network *network = bucket->data;
    apr_bucket_alloc_t *list = bucket->list;
    apr_size_t received = network->piece;
    char *memory = apr_bucket_alloc(received, list);
    apr_interval_time_t timeout = 0;
    apr_status_t status;

    *data = NULL;
    *length = 0;
    if (block == APR_NONBLOCK_READ) {
        apr_socket_timeout_get(network->socket, &timeout);
        apr_socket_timeout_set(network->socket, 0);
    }
    status = apr_socket_recv(network->socket, memory, &received);
    if (block == APR_NONBLOCK_READ) {
        apr_socket_timeout_set(network->socket, timeout);
    }
    if (status != APR_SUCCESS && !APR_STATUS_IS_EOF(status)) {
        apr_bucket_free(memory);
        return status;
    }
    if (received == 0) {
        apr_bucket_free(memory);
        apr_bucket_immortal_make(bucket, "", 0);
        *data = "";
        return APR_SUCCESS;
    }
    apr_bucket_heap_make(bucket, memory, received, apr_bucket_free);
    APR_BUCKET_INSERT_AFTER(bucket, network_bucket_create(network, list));
    *data = memory;
    *length = received;
    return APR_SUCCESS;
}

/* Behind those of other modules that have buckets of their own, and before httpd. */
static apr_status_t insert_network_bucket(conn_rec *c, apr_bucket_brigade *brigade,
                                          apr_socket_t *socket)
{
    struct network *network = apr_palloc(c->pool, sizeof(*network));

    network->socket = socket;
    network->piece = APR_BUCKET_BUFF_SIZE;
    ap_set_module_config(c->conn_config, &wsgi_module, network);
    APR_BRIGADE_INSERT_TAIL(brigade, network_bucket_create(network, c->bucket_alloc));
    return APR_SUCCESS;
}

void wsgi_network_register(void)
{
    ap_hook_insert_network_bucket(insert_network_bucket, NULL, NULL, APR_HOOK_LAST);
}

apr_status_t wsgi_read_body(request_rec *r, apr_bucket_brigade *brigade, apr_read_type_e block,
                            apr_off_t limit)
{
    struct network *network = ap_get_module_config(r->connection->conn_config, &wsgi_module);
    apr_status_t status;

    if (network && limit >= LARGE) {
        network->piece = LARGE;
    }
    status = ap_get_brigade(r->input_filters, brigade, AP_MODE_READBYTES, block, limit);
    if (network) {
        network->piece = APR_BUCKET_BUFF_SIZE;
    }
    return status;
}
