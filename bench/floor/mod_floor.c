/*
 * The floor: what a request costs that makes one round trip to another process and back,
 * over a socket that stays open, without any Python.
 *
 * The shape is that of the servers it is compared with: FLOOR_PROCESSES processes of
 * FLOOR_THREADS threads, each thread at one end of a socketpair. An httpd worker takes a
 * free pair (a semaphore to wait, an exchange to take), sends FLOOR_REQUEST bytes, about
 * what a small request takes as environ, receives the body, and answers.
 */

#include "httpd.h"

#include "apr_signal.h"
#include "apr_strings.h"
#include "http_config.h"
#include "http_core.h"
#include "http_protocol.h"
#include "mpm_common.h"

#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#define FLOOR_PROCESSES 2
#define FLOOR_THREADS 15
#define FLOOR_PAIRS (FLOOR_PROCESSES * FLOOR_THREADS)
#define FLOOR_REQUEST 512

static const char BODY[] = "Hello world!";

/* Shared by all children, made in the parent. */
struct pairs {
    sem_t free;
    atomic_flag taken[FLOOR_PAIRS];
    int socket[FLOOR_PAIRS];
};

static struct pairs *pairs;

module AP_MODULE_DECLARE_DATA floor_module;

static void *echo(void *argument)
{
    int socket = (int)(intptr_t)argument;
    char request[FLOOR_REQUEST];

    for (;;) {
        ssize_t got = recv(socket, request, sizeof request, MSG_WAITALL);
        if (got != (ssize_t)sizeof request)
            return NULL;
        if (send(socket, BODY, sizeof BODY - 1, MSG_NOSIGNAL) < 0)
            return NULL;
    }
}

/* One echo process, under httpd's user. It ends when httpd does. */
static void serve(apr_pool_t *pool, server_rec *server, pid_t httpd, const int *ends)
{
    sigset_t signals;

    if (ap_run_drop_privileges(pool, server) != OK)
        _exit(1);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != httpd)
        _exit(0);
    setpgid(0, 0);
    apr_signal(SIGTERM, SIG_DFL);
    sigemptyset(&signals);
    sigprocmask(SIG_SETMASK, &signals, NULL);
    prctl(PR_SET_NAME, "floor-echo");
    for (int n = 0; n < FLOOR_THREADS; n++) {
        pthread_t thread;
        if (pthread_create(&thread, NULL, echo, (void *)(intptr_t)ends[n]) != 0)
            _exit(1);
    }
    for (;;)
        pause();
}

static apr_status_t unmap(void *memory)
{
    struct pairs *old = memory;

    for (int n = 0; n < FLOOR_PAIRS; n++)
        close(old->socket[n]);
    munmap(old, sizeof *old);
    return APR_SUCCESS;
}

static int post_config(apr_pool_t *pconf, apr_pool_t *plog, apr_pool_t *ptemp, server_rec *server)
{
    int theirs[FLOOR_PAIRS];

    if (ap_state_query(AP_SQ_MAIN_STATE) == AP_SQ_MS_CREATE_PRE_CONFIG)
        return OK;
    pairs = mmap(NULL, sizeof *pairs, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (pairs == MAP_FAILED || sem_init(&pairs->free, 1, FLOOR_PAIRS) != 0)
        return HTTP_INTERNAL_SERVER_ERROR;
    for (int n = 0; n < FLOOR_PAIRS; n++) {
        int ends[2];
        if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0)
            return HTTP_INTERNAL_SERVER_ERROR;
        pairs->socket[n] = ends[0];
        theirs[n] = ends[1];
        atomic_flag_clear(&pairs->taken[n]);
    }
    apr_pool_cleanup_register(pconf, pairs, unmap, apr_pool_cleanup_null);
    pid_t httpd = getpid();
    for (int n = 0; n < FLOOR_PROCESSES; n++) {
        apr_proc_t *process = apr_pcalloc(pconf, sizeof *process);
        if (apr_proc_fork(process, pconf) == APR_INCHILD)
            serve(pconf, server, httpd, theirs + n * FLOOR_THREADS);
        apr_pool_note_subprocess(pconf, process, APR_KILL_ALWAYS);
    }
    for (int n = 0; n < FLOOR_PAIRS; n++)
        close(theirs[n]);
    return OK;
}

static int handler(request_rec *r)
{
    char request[FLOOR_REQUEST] = {0}, body[sizeof BODY - 1];
    int n = 0;

    if (r->handler == NULL || strcmp(r->handler, "floor") != 0)
        return DECLINED;
    apr_cpystrn(request, r->the_request, sizeof request);
    while (sem_wait(&pairs->free) != 0)
        continue;
    while (atomic_flag_test_and_set(&pairs->taken[n]))
        n = (n + 1) % FLOOR_PAIRS;
    ssize_t sent = send(pairs->socket[n], request, sizeof request, MSG_NOSIGNAL);
    ssize_t got = recv(pairs->socket[n], body, sizeof body, MSG_WAITALL);
    atomic_flag_clear(&pairs->taken[n]);
    sem_post(&pairs->free);
    if (sent != (ssize_t)sizeof request || got != (ssize_t)sizeof body)
        return HTTP_BAD_GATEWAY;
    ap_set_content_type(r, "text/plain");
    ap_set_content_length(r, sizeof body);
    ap_rwrite(body, sizeof body, r);
    return OK;
}

static void register_hooks(apr_pool_t *pool)
{
    ap_hook_post_config(post_config, NULL, NULL, APR_HOOK_MIDDLE);
    ap_hook_handler(handler, NULL, NULL, APR_HOOK_MIDDLE);
}

AP_DECLARE_MODULE(floor) = {
    STANDARD20_MODULE_STUFF, NULL, NULL, NULL, NULL, NULL, register_hooks,
    AP_MODULE_FLAG_NONE,
};
