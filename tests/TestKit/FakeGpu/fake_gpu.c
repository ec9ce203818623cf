// GPU libraries for machines without a GPU, as far as tests need them: device memory is the host's, kernels there are none.
// Copies and memsets run late, when something waits for them, as on a GPU that is far behind: whoever reuses host memory too soon
// loses its bytes. One file, built once for each library by FAKE_DRIVER, FAKE_NVML, FAKE_NVRTC or FAKE_NCCL.
// The environment says what there is: FAKE_GPUS (2), FAKE_DRIVER_VERSION (12080), FAKE_INIT (0: the status of cuInit),
// FAKE_CAPABILITY (90), FAKE_TOTAL_MIB and FAKE_FREE_MIB (8192).
// Memory mapped behind reserved addresses is fresh garbage each time, and addresses without memory behind them end the process.
#define _GNU_SOURCE
#include <pthread.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

__attribute__((unused)) static long setting(const char *name, long otherwise)
{
    const char *text = getenv(name);
    return text && *text ? atol(text) : otherwise;
}

#ifdef FAKE_DRIVER
enum { SUCCESS = 0, INVALID_VALUE = 1, OUT_OF_MEMORY = 2, INVALID_DEVICE = 101, NO_BINARY = 209, MOST_ALLOCATIONS = 4096 };

typedef struct Work {
    struct Work *next;
    char *target;
    const char *source; // NULL: fill
    size_t width, height, target_pitch, source_pitch;
    unsigned char value;
    struct Stream *wait; // not NULL: only this
    long after;
} Work;

typedef struct Stream { Work *first, *last; long queued, done; struct Stream *other; } Stream;
typedef struct { Stream *stream; long after; } Event;
typedef struct { size_t x, y; unsigned type; void *host; uint64_t device; void *array; size_t pitch; } Side;
typedef struct { Side source, target; size_t width, height; } Rectangle;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static size_t used;
static Stream *streams; // all there ever were: few, and never freed
static int living_streams, fail_next_event;
static struct { char *address; size_t bytes; } allocations[MOST_ALLOCATIONS];

static void run(Stream *stream, long until)
{
    while (stream->first && stream->done < until) {
        Work *work = stream->first;
        if (work->wait) run(work->wait, work->after);
        for (size_t row = 0; row < work->height; row++) {
            char *to = work->target + row * work->target_pitch;
            if (work->source) memcpy(to, work->source + row * work->source_pitch, work->width);
            else memset(to, work->value, work->width);
        }
        stream->first = work->next;
        stream->done++;
        free(work);
    }
}

static int queue(Stream *stream, Work work)
{
    Work *copy = malloc(sizeof *copy);
    *copy = work;
    copy->next = NULL;
    pthread_mutex_lock(&lock);
    if (stream->first) stream->last->next = copy; else stream->first = copy;
    stream->last = copy;
    stream->queued++;
    pthread_mutex_unlock(&lock);
    return SUCCESS;
}

// Freeing waits for the GPU, as the real calls do. Under the lock.
static void run_all(void)
{
    for (Stream *stream = streams; stream; stream = stream->other) run(stream, stream->queued);
}

int cuInit(unsigned flags) { return flags == 0 ? (int)setting("FAKE_INIT", 0) : INVALID_VALUE; }
int cuDriverGetVersion(int *version) { *version = (int)setting("FAKE_DRIVER_VERSION", 12080); return SUCCESS; }
int cuGetErrorName(int error, const char **text) { *text = error == OUT_OF_MEMORY ? "CUDA_ERROR_OUT_OF_MEMORY" : "CUDA_ERROR_FAKE"; return SUCCESS; }
int cuGetErrorString(int error, const char **text) { (void)error; *text = "a fake error"; return SUCCESS; }
int cuDeviceGetCount(int *count) { *count = (int)setting("FAKE_GPUS", 2); return SUCCESS; }
int cuDeviceGet(int *device, int ordinal) { *device = ordinal; return ordinal < setting("FAKE_GPUS", 2) ? SUCCESS : INVALID_DEVICE; }
int cuDeviceGetName(char *name, int length, int device) { snprintf(name, length, "Fake GPU %d", device); return SUCCESS; }
int cuDeviceGetPCIBusId(char *id, int length, int device) { snprintf(id, length, "0000:%02X:00.0", 16 + device); return SUCCESS; }
int cuDeviceTotalMem_v2(size_t *bytes, int device) { (void)device; *bytes = (size_t)setting("FAKE_TOTAL_MIB", 8192) << 20; return SUCCESS; }
int cuDeviceGetAttribute(int *value, int attribute, int device)
{
    (void)device;
    long capability = setting("FAKE_CAPABILITY", 90);
    *value = attribute == 75 ? (int)(capability / 10) : attribute == 76 ? (int)(capability % 10)
        : attribute == 16 ? 132 : attribute == 97 ? 232448 : 0;
    return SUCCESS;
}
int cuDevicePrimaryCtxRetain(void **context, int device) { *context = (void *)(intptr_t)(device + 1); return SUCCESS; }
int cuDevicePrimaryCtxRelease_v2(int device) { (void)device; return SUCCESS; }
int cuCtxSetCurrent(void *context) { (void)context; return SUCCESS; }
int cuMemGetInfo_v2(size_t *free_bytes, size_t *total)
{
    *total = (size_t)setting("FAKE_TOTAL_MIB", 8192) << 20;
    *free_bytes = ((size_t)setting("FAKE_FREE_MIB", setting("FAKE_TOTAL_MIB", 8192)) << 20) - used;
    return SUCCESS;
}
int cuMemAlloc_v2(uint64_t *address, size_t bytes)
{
    size_t free_bytes, total;
    pthread_mutex_lock(&lock);
    cuMemGetInfo_v2(&free_bytes, &total);
    int status = OUT_OF_MEMORY;
    for (int i = 0; i < MOST_ALLOCATIONS && bytes <= free_bytes && status; i++) {
        if (!allocations[i].address && (allocations[i].address = aligned_alloc(256, (bytes + 255) / 256 * 256))) {
            allocations[i].bytes = bytes;
            used += bytes;
            *address = (uint64_t)(uintptr_t)allocations[i].address;
            status = SUCCESS;
        }
    }
    pthread_mutex_unlock(&lock);
    return status;
}
int cuMemFree_v2(uint64_t address)
{
    int status = INVALID_VALUE;
    pthread_mutex_lock(&lock);
    run_all();
    for (int i = 0; i < MOST_ALLOCATIONS && status; i++) {
        if (allocations[i].address == (char *)(uintptr_t)address) {
            free(allocations[i].address);
            used -= allocations[i].bytes;
            allocations[i].address = NULL;
            status = SUCCESS;
        }
    }
    pthread_mutex_unlock(&lock);
    return status;
}
enum { GRANULARITY = 2 << 20 };
typedef struct { int type, id; } Location;
typedef struct { Location location; int flags; } Access;
typedef struct { int type, handles; Location location; } Properties;
int cuMemGetAllocationGranularity(size_t *granularity, const Properties *properties, int option)
{
    (void)option;
    *granularity = GRANULARITY;
    return properties->type == 1 && properties->location.type == 1 ? SUCCESS : INVALID_VALUE;
}
int cuMemCreate(uint64_t *handle, size_t bytes, const Properties *properties, uint64_t flags)
{
    size_t free_bytes, total;
    if (flags || properties->type != 1 || bytes % GRANULARITY || !bytes) return INVALID_VALUE;
    pthread_mutex_lock(&lock);
    cuMemGetInfo_v2(&free_bytes, &total);
    int status = bytes <= free_bytes ? SUCCESS : OUT_OF_MEMORY;
    if (!status) {
        used += bytes;
        *handle = bytes; // all that is to be known of it
    }
    pthread_mutex_unlock(&lock);
    return status;
}
int cuMemRelease(uint64_t handle)
{
    pthread_mutex_lock(&lock);
    used -= handle;
    pthread_mutex_unlock(&lock);
    return SUCCESS;
}
int cuMemAddressReserve(uint64_t *address, size_t bytes, size_t alignment, uint64_t wanted, uint64_t flags)
{
    if (alignment || wanted || flags || bytes % GRANULARITY || !bytes) return INVALID_VALUE;
    void *range = mmap(NULL, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    *address = (uint64_t)(uintptr_t)range;
    return range == MAP_FAILED ? OUT_OF_MEMORY : SUCCESS;
}
int cuMemAddressFree(uint64_t address, size_t bytes) { return munmap((void *)(uintptr_t)address, bytes) ? INVALID_VALUE : SUCCESS; }
int cuMemMap(uint64_t address, size_t bytes, size_t offset, uint64_t handle, uint64_t flags)
{
    (void)address;
    return offset || flags || bytes != handle ? INVALID_VALUE : SUCCESS;
}
int cuMemSetAccess(uint64_t address, size_t bytes, const Access *access, size_t count)
{
    if (count != 1 || access->flags != 3 || mprotect((void *)(uintptr_t)address, bytes, PROT_READ | PROT_WRITE)) return INVALID_VALUE;
    memset((void *)(uintptr_t)address, 0xA5, bytes);
    return SUCCESS;
}
int cuMemUnmap(uint64_t address, size_t bytes)
{
    void *range = mmap((void *)(uintptr_t)address, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0);
    return range == MAP_FAILED ? INVALID_VALUE : SUCCESS;
}
int cuMemHostAlloc(void **address, size_t bytes, unsigned flags) { (void)flags; return (*address = malloc(bytes)) ? SUCCESS : OUT_OF_MEMORY; }
int cuMemFreeHost(void *address)
{
    pthread_mutex_lock(&lock);
    run_all();
    pthread_mutex_unlock(&lock);
    free(address);
    return SUCCESS;
}
int cuStreamCreate(Stream **stream, unsigned flags)
{
    (void)flags;
    *stream = calloc(1, sizeof **stream);
    pthread_mutex_lock(&lock);
    (*stream)->other = streams;
    streams = *stream;
    living_streams++;
    pthread_mutex_unlock(&lock);
    return SUCCESS;
}
int cuStreamSynchronize(Stream *stream)
{
    pthread_mutex_lock(&lock);
    run(stream, stream->queued);
    pthread_mutex_unlock(&lock);
    return SUCCESS;
}
int cuStreamDestroy_v2(Stream *stream)
{
    __atomic_sub_fetch(&living_streams, 1, __ATOMIC_SEQ_CST);
    return cuStreamSynchronize(stream);
}
// For tests of what is left after a failure.
int fake_living_streams(void) { return __atomic_load_n(&living_streams, __ATOMIC_SEQ_CST); }
void fake_fail_next_event(void) { __atomic_store_n(&fail_next_event, 1, __ATOMIC_SEQ_CST); }
int cuEventCreate(Event **event, unsigned flags)
{
    (void)flags;
    if (__atomic_exchange_n(&fail_next_event, 0, __ATOMIC_SEQ_CST)) return OUT_OF_MEMORY;
    *event = calloc(1, sizeof **event);
    return SUCCESS;
}
int cuEventDestroy_v2(Event *event) { free(event); return SUCCESS; }
int cuEventRecord(Event *event, Stream *stream) { event->stream = stream; event->after = stream->queued; return SUCCESS; }
// A wait goes into the stream as work that first brings the other stream up to the event.
int cuStreamWaitEvent(Stream *stream, Event *event, unsigned flags)
{
    (void)flags;
    if (!event->stream || event->stream == stream) return SUCCESS;
    return queue(stream, (Work){ .wait = event->stream, .after = event->after });
}
int cuEventSynchronize(Event *event)
{
    pthread_mutex_lock(&lock);
    if (event->stream) run(event->stream, event->after);
    pthread_mutex_unlock(&lock);
    return SUCCESS;
}
int cuEventQuery(Event *event) { return cuEventSynchronize(event); }
int cuEventElapsedTime(float *milliseconds, Event *start, Event *end) { (void)start; (void)end; *milliseconds = 1; return SUCCESS; }
int cuMemcpyHtoDAsync_v2(uint64_t target, const void *source, size_t bytes, Stream *stream)
{
    return queue(stream, (Work){ .target = (char *)(uintptr_t)target, .source = source, .width = bytes, .height = 1 });
}
int cuMemcpyDtoHAsync_v2(void *target, uint64_t source, size_t bytes, Stream *stream)
{
    return queue(stream, (Work){ .target = target, .source = (char *)(uintptr_t)source, .width = bytes, .height = 1 });
}
int cuMemcpyDtoDAsync_v2(uint64_t target, uint64_t source, size_t bytes, Stream *stream)
{
    return cuMemcpyDtoHAsync_v2((void *)(uintptr_t)target, source, bytes, stream);
}
int cuMemcpy2DAsync_v2(const Rectangle *r, Stream *stream)
{
    if (r->source.type != 1 || r->target.type != 2 || r->width > r->source.pitch || r->width > r->target.pitch) return INVALID_VALUE;
    return queue(stream, (Work){ .target = (char *)(uintptr_t)r->target.device, .source = r->source.host, .width = r->width,
        .height = r->height, .target_pitch = r->target.pitch, .source_pitch = r->source.pitch });
}
int cuMemsetD8Async(uint64_t target, unsigned char value, size_t count, Stream *stream)
{
    return queue(stream, (Work){ .target = (char *)(uintptr_t)target, .width = count, .height = 1, .value = value });
}
int cuModuleLoadData(void **module, const void *image) { (void)module; (void)image; return NO_BINARY; }
int cuModuleUnload(void *module) { (void)module; return SUCCESS; }
#endif

#ifdef FAKE_NVML
typedef struct { unsigned long long total, free, used; } Memory;
int nvmlInit_v2(void) { return 0; }
int nvmlShutdown(void) { return 0; }
int nvmlDeviceGetHandleByPciBusId_v2(const char *id, void **device)
{
    unsigned bus;
    if (sscanf(id, "0000:%x:00.0", &bus) != 1) return 6;
    *device = (void *)(uintptr_t)bus;
    return 0;
}
int nvmlDeviceGetMemoryInfo(void *device, Memory *memory)
{
    (void)device;
    memory->total = (unsigned long long)setting("FAKE_TOTAL_MIB", 8192) << 20;
    memory->free = (unsigned long long)setting("FAKE_FREE_MIB", setting("FAKE_TOTAL_MIB", 8192)) << 20;
    memory->used = memory->total - memory->free;
    return 0;
}
#endif

#ifdef FAKE_NVRTC
int nvrtcVersion(int *major, int *minor)
{
    long version = setting("FAKE_NVRTC_VERSION", 1208);
    *major = (int)(version / 100);
    *minor = (int)(version % 100);
    return 0;
}
const char *nvrtcGetErrorString(int status) { (void)status; return "a fake error"; }
int nvrtcCreateProgram(void) { return 1; }
#endif

#ifdef FAKE_NCCL
int ncclGetVersion(int *version) { *version = 22809; return 0; }
const char *ncclGetErrorString(int status) { (void)status; return "a fake error"; }
const char *ncclGetLastError(void *communicator) { (void)communicator; return ""; }
int ncclGetUniqueId(char *id) { memset(id, (int)setting("FAKE_NCCL_ID", 7), 128); return 0; }
#endif
