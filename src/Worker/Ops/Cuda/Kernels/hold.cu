// Keeps the stream busy for a given time, so that the host can issue what follows without the device waiting for it.
#include "common.cuh"

struct Arguments
{
    i64 nanoseconds;
};

DEVICE i64 nanoseconds_now()
{
    i64 now;
    asm volatile("mov.u64 %0, %%globaltimer;" : "=l"(now));
    return now;
}

extern "C" __global__ void hold(const Arguments args)
{
    pdl_wait();
    const i64 start = nanoseconds_now();
    while (nanoseconds_now() - start < args.nanoseconds) { __nanosleep(1000); }
}
