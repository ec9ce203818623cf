// Hopper's tensor cores (sm_90a): products of a warpgroup, 128 threads, with operands in shared memory; barriers in shared memory
// between the threads that fill it and those that use it.
//
// Operands lie in panels of 64 elements (128 bytes) a row, rows one after the other, the 16-byte pieces of row r permuted:
// piece p is at place p ^ (r % 8). Panels start at multiples of 1,024 bytes. The same panel serves as a matrix whose summed index runs
// along the rows (q, k: "along") and as one whose summed index counts the rows (v: "across").
#pragma once
#include "common.cuh"

typedef unsigned long long u64;

// Byte offset of a 16-byte piece in panels of `rows` rows.
DEVICE u32 panel_offset(int rows, int row, int piece) { return ((piece >> 3) * rows + row) * 128 + (((piece ^ row) & 7) << 4); }

// Descriptor of a matrix at a shared address: in units of 16 bytes the address (14 bits), the leading offset (from bit 16) and
// the stride (from bit 32); 1 in bits 62-63 names the permutation. Groups of eight rows are 1,024 bytes apart. For "across" the leading
// offset leads from one panel to the next; "along" ignores it.
DEVICE u64 matrix_descriptor(u32 address, u32 panelBytes)
{
    return ((u64)1 << 62) | ((u64)(1024 >> 4) << 32) | ((u64)(panelBytes >> 4) << 16) | ((address & 0x3ffff) >> 4);
}

// ---- Products. c: lane l of warp w holds c[j] = rows 16 w + g and + 8, columns 8 j + 2 q and + 1, as mma's 16 x 8 tiles.
// The first adds a . b of two matrices "along" (64 and N rows, 16 elements of each) to c, or sets c; the second adds a in registers
// (as mma's a) times 16 rows of a matrix "across" with N columns. Both only start; results are there after wgmma_wait.
template <typename E, int N> DEVICE void wgmma_along(float (&c)[N / 8][4], u64 a, u64 b, int add);
template <typename E, int N> DEVICE void wgmma_across(float (&c)[N / 8][4], const u32 (&a)[4], u64 b);

#define C1(j) "+f"(c[j][0]), "+f"(c[j][1]), "+f"(c[j][2]), "+f"(c[j][3])
#define C4(j) C1(j), C1(j + 1), C1(j + 2), C1(j + 3)
#define C8(j) C4(j), C4(j + 4)
#define R0 "%0,%1,%2,%3,%4,%5,%6,%7,%8,%9,%10,%11,%12,%13,%14,%15,%16,%17,%18,%19,%20,%21,%22,%23,%24,%25,%26,%27,%28,%29,%30,%31"
#define R32 "%32,%33,%34,%35,%36,%37,%38,%39,%40,%41,%42,%43,%44,%45,%46,%47"
#define R48 "%48,%49,%50,%51,%52,%53,%54,%55,%56,%57,%58,%59,%60,%61,%62,%63"
#define R64 "%64,%65,%66,%67,%68,%69,%70,%71,%72,%73,%74,%75,%76,%77,%78,%79,%80,%81,%82,%83,%84,%85,%86,%87,%88,%89,%90,%91,%92,%93,%94,%95"
#define R96 "%96,%97,%98,%99,%100,%101,%102,%103,%104,%105,%106,%107,%108,%109,%110,%111,%112,%113,%114,%115,%116,%117,%118,%119,%120,%121,%122,%123,%124,%125,%126,%127"
#define R_16 "%0,%1,%2,%3,%4,%5,%6,%7"
#define C_16 C1(0), C1(1)
#define R_32 R_16 ",%8,%9,%10,%11,%12,%13,%14,%15"
#define C_32 C4(0)
#define R_64 R0
#define C_64 C8(0)
#define R_96 R0 "," R32
#define C_96 C8(0), C4(8)
#define R_128 R0 "," R32 "," R48
#define C_128 C8(0), C8(8)
#define R_192 R0 "," R32 "," R48 "," R64
#define C_192 C8(0), C8(8), C8(16)
#define R_256 R0 "," R32 "," R48 "," R64 "," R96
#define C_256 C8(0), C8(8), C8(16), C8(24)

#define WGMMA_ALONG(E, N, A, B, ADD) \
    template <> DEVICE void wgmma_along<E, N>(float (&c)[N / 8][4], u64 a, u64 b, int add) \
    { \
        asm volatile("{ .reg .pred p; setp.ne.b32 p, " ADD ", 0; wgmma.mma_async.sync.aligned.m64n" #N "k16.f32." #E "." #E \
            " {" R_##N "}, " A ", " B ", p, 1, 1, 0, 0; }" : C_##N : "l"(a), "l"(b), "r"(add)); \
    }
#define WGMMA_ACROSS(E, N, A0, A1, A2, A3, B) \
    template <> DEVICE void wgmma_across<E, N>(float (&c)[N / 8][4], const u32 (&a)[4], u64 b) \
    { \
        asm volatile("wgmma.mma_async.sync.aligned.m64n" #N "k16.f32." #E "." #E \
            " {" R_##N "}, {" A0 "," A1 "," A2 "," A3 "}, " B ", 1, 1, 1, 1;" \
            : C_##N : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b)); \
    }
#define WGMMA_BOTH(E) \
    WGMMA_ALONG(E, 16, "%8", "%9", "%10") \
    WGMMA_ALONG(E, 32, "%16", "%17", "%18") \
    WGMMA_ALONG(E, 64, "%32", "%33", "%34") \
    WGMMA_ALONG(E, 128, "%64", "%65", "%66") \
    WGMMA_ACROSS(E, 64, "%32", "%33", "%34", "%35", "%36") \
    WGMMA_ACROSS(E, 96, "%48", "%49", "%50", "%51", "%52") \
    WGMMA_ACROSS(E, 128, "%64", "%65", "%66", "%67", "%68") \
    WGMMA_ACROSS(E, 192, "%96", "%97", "%98", "%99", "%100") \
    WGMMA_ACROSS(E, 256, "%128", "%129", "%130", "%131", "%132")

WGMMA_BOTH(bf16)
WGMMA_BOTH(f16)

// Before the first product that uses registers written since the last products started.
DEVICE void wgmma_fence() { asm volatile("wgmma.fence.sync.aligned;" ::: "memory"); }
DEVICE void wgmma_commit() { asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory"); }
template <int PENDING> DEVICE void wgmma_wait() { asm volatile("wgmma.wait_group.sync.aligned %0;" :: "n"(PENDING) : "memory"); }

// Keeps the compiler from moving uses of registers that products write to before the wait ahead of it.
template <int COUNT> DEVICE void hold(float (&c)[COUNT][4])
{
#pragma unroll
    for (int j = 0; j < COUNT; j++) { asm volatile("" : C1(j) :: "memory"); }
}

// Writes to shared memory by this thread (copies: after waiting for them) become visible to products.
DEVICE void fence_for_products() { asm volatile("fence.proxy.async.shared::cta;" ::: "memory"); }

// ---- Registers of a warpgroup, of those that the block was launched with.
template <int COUNT> DEVICE void give_registers() { asm volatile("setmaxnreg.dec.sync.aligned.u32 %0;" :: "n"(COUNT)); }
template <int COUNT> DEVICE void take_registers() { asm volatile("setmaxnreg.inc.sync.aligned.u32 %0;" :: "n"(COUNT)); }

// ---- Barriers: eight bytes of shared memory; a phase ends with `count` arrivals. Waiting for phase parity 1 of a fresh barrier
// returns at once. A wait that lasts for seconds is a mistake in the program and ends the kernel by a write to address 0: a hang could
// cost the machine. (With a trap instruction in the kernel, ptxas 12.4 ignores setmaxnreg: 240 bytes spilled, products serialised.)
DEVICE void barrier_create(u32 barrier, int count)
{
    asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;" :: "r"(barrier), "r"(count) : "memory");
}
DEVICE void barrier_arrive(u32 barrier)
{
    asm volatile("{ .reg .b64 s; mbarrier.arrive.shared::cta.b64 s, [%0]; }" :: "r"(barrier) : "memory");
}
// Arrives once all copies of 16 bytes that this thread has started are there.
DEVICE void barrier_arrive_copied(u32 barrier)
{
    asm volatile("cp.async.mbarrier.arrive.noinc.shared::cta.b64 [%0];" :: "r"(barrier) : "memory");
}
DEVICE void barrier_wait(u32 barrier, int parity)
{
    u32 done = 0;
    for (int tries = 0; done == 0; tries++)
    {
        asm volatile("{ .reg .pred p; mbarrier.try_wait.parity.shared::cta.b64 p, [%1], %2; selp.u32 %0, 1, 0, p; }"
            : "=r"(done) : "r"(barrier), "r"(parity) : "memory");
        if (tries > 1 << 24) { asm volatile("st.global.u32 [%0], %1;" :: "l"(0ll), "r"(0) : "memory"); }
    }
    __syncwarp(); // products want the warp's lanes together
}

// Barrier number 1 to 15 of the block, with so many threads in all; joining does not wait for the others, meeting does.
DEVICE void numbered_join(int number, int threads) { asm volatile("barrier.cta.arrive %0, %1;" :: "r"(number), "r"(threads) : "memory"); }
DEVICE void numbered_meet(int number, int threads) { asm volatile("barrier.cta.sync %0, %1;" :: "r"(number), "r"(threads) : "memory"); }
