
/*
 * The core part of the mesh module: the directive that names the state
 * directory, and the life of the worker's state.
 *
 *     mesh_directory /var/run/nginx-mesh;
 */


#include "ngx_mesh.h"
#include "ngx_mesh_circuit.h"
#include "ngx_mesh_counters.h"
#include "ngx_mesh_identity.h"
#include "ngx_mesh_peer.h"
#include <malloc.h>
#include <ngx_event.h>


#define NGX_MESH_DESCRIPTORS  65536
#define NGX_MESH_LOOK_MSEC    1000

/* blocks of this size and more are pages of their own */
#define NGX_MESH_MAPPED       (64 * 1024)


typedef struct {
    ngx_str_t                 directory;
} ngx_mesh_conf_t;


static void *ngx_mesh_create_conf(ngx_cycle_t *cycle);
static ngx_int_t ngx_mesh_init_module(ngx_cycle_t *cycle);
static ngx_int_t ngx_mesh_init_process(ngx_cycle_t *cycle);


static void ngx_mesh_look(ngx_event_t *ev);


static ngx_command_t  ngx_mesh_commands[] = {

    { ngx_string("mesh_directory"),
      NGX_MAIN_CONF|NGX_DIRECT_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_str_slot,
      0,
      offsetof(ngx_mesh_conf_t, directory),
      NULL },

      ngx_null_command
};


static ngx_core_module_t  ngx_mesh_module_ctx = {
    ngx_string("mesh"),
    ngx_mesh_create_conf,
    NULL
};


ngx_module_t  ngx_mesh_module = {
    NGX_MODULE_V1,
    &ngx_mesh_module_ctx,                  /* module context */
    ngx_mesh_commands,                     /* module directives */
    NGX_CORE_MODULE,                       /* module type */
    NULL,                                  /* init master */
    ngx_mesh_init_module,                  /* init module */
    ngx_mesh_init_process,                 /* init process */
    NULL,                                  /* init thread */
    NULL,                                  /* exit thread */
    NULL,                                  /* exit process */
    NULL,                                  /* exit master */
    NGX_MODULE_V1_PADDING
};


ngx_mesh_worker_t  ngx_mesh;


static void *
ngx_mesh_create_conf(ngx_cycle_t *cycle)
{
    return ngx_pcalloc(cycle->pool, sizeof(ngx_mesh_conf_t));
}


static ngx_int_t
ngx_mesh_init_module(ngx_cycle_t *cycle)
{
    ngx_mesh_conf_t  *conf;

    conf = (ngx_mesh_conf_t *) ngx_get_conf(cycle->conf_ctx, ngx_mesh_module);

    if (conf->directory.len == 0) {
        ngx_log_error(NGX_LOG_EMERG, cycle->log, 0,
                      "no \"mesh_directory\" is defined");
        return NGX_ERROR;
    }

    if (ngx_test_config || ngx_process == NGX_PROCESS_SIGNALLER) {
        return NGX_OK;
    }

    ngx_mesh.directory = conf->directory;

    if (ngx_mesh_tls_init(cycle->log) != NGX_OK) {
        return NGX_ERROR;
    }

    if (ngx_mesh_circuits_map(cycle->log) != NGX_OK
        || ngx_mesh_buckets_map(cycle->log) != NGX_OK)
    {
        return NGX_ERROR;
    }

    return ngx_mesh_counters_open(cycle, &conf->directory);
}


/* containers often begin with 1024 descriptors and may take far more */

static void
ngx_mesh_raise_descriptors(ngx_log_t *log)
{
    struct rlimit  limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) == -1) {
        ngx_log_error(NGX_LOG_WARN, log, ngx_errno, "getrlimit() failed");
        return;
    }

    limit.rlim_cur = ngx_min(limit.rlim_max, NGX_MESH_DESCRIPTORS);

    if (setrlimit(RLIMIT_NOFILE, &limit) == -1) {
        ngx_log_error(NGX_LOG_WARN, log, ngx_errno, "setrlimit() failed");
    }
}


/* whoever is not told and serves nobody new: log level, pools */

static void
ngx_mesh_look(ngx_event_t *ev)
{
    ngx_mesh_refresh(ngx_cycle->log);

    ngx_add_timer(ev, NGX_MESH_LOOK_MSEC);
}


static void
ngx_mesh_look_start(ngx_cycle_t *cycle)
{
    ngx_core_conf_t          *ccf;

    /* at debug nginx prints the descriptor of a timer's connection */

    static ngx_event_t        ev;
    static ngx_connection_t   dummy;

    ccf = (ngx_core_conf_t *) ngx_get_conf(cycle->conf_ctx, ngx_core_module);

    if (ccf->worker_processes < 2) {
        return;
    }

    dummy.fd = (ngx_socket_t) -1;

    ev.data = &dummy;
    ev.handler = ngx_mesh_look;
    ev.log = cycle->log;
    ev.cancelable = 1;

    ngx_add_timer(&ev, NGX_MESH_LOOK_MSEC);
}


/*
 * A TCP connection has two large buffers, of which an idle one touches little,
 * and a table is large altogether.  As pages of their own they take memory
 * where they are touched, and give it back; in the heap they would take over
 * what handshakes left behind, and keep it.
 */

static void
ngx_mesh_map_large_blocks(void)
{
    (void) mallopt(M_MMAP_THRESHOLD, NGX_MESH_MAPPED);
}


static ngx_int_t
ngx_mesh_init_process(ngx_cycle_t *cycle)
{
    if (ngx_process != NGX_PROCESS_WORKER && ngx_process != NGX_PROCESS_SINGLE)
    {
        return NGX_OK;
    }

    ngx_mesh_map_large_blocks();
    ngx_mesh_raise_descriptors(cycle->log);
    ngx_mesh_peers_init();
    ngx_mesh_counters_start_worker();
    ngx_mesh_drain_init(cycle);
    (void) ngx_mesh_load(cycle->log);
    ngx_mesh_look_start(cycle);

    return NGX_OK;
}
