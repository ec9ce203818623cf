// What kernels share that exchange data with the other GPUs of a group by storing into each other's memory.
//
// Every rank has a mailbox that all others map. Data travels in packets of 16 bytes, {data, epoch, data, epoch}: each half is one
// 8-byte store, so whoever sees the epoch of this call also sees the data, and no flag, fence or barrier is needed. A packet of an
// older call carries an older epoch. The mailbox has two halves, for even and odd epochs. A half is written again two calls later,
// and that is safe: a rank that has ended call e + 1 has packets of e + 1 from every peer, which they sent after their call e had
// ended. So every call must send at least one packet to every peer, and may send none before pdl_wait.
//
// The epoch lives in device memory and each call moves it on, so a captured graph replays. All ranks make the same calls.
//
// A wait ends after the group's timeout: the first thread that gives up says in host memory for whom it waited, and from then on
// nothing is sent or waited for and results are meaningless.
//
// Why a wait never keeps from running what it waits for (numbers of an H100 or H200: 132 multiprocessors, each with 65,536
// registers, 2,048 threads and 32 blocks):
// - A thread waits only after pdl_wait, when every kernel ahead of this call (the product that made the partial sums, for one) has
//   ended and holds no multiprocessor any more; kernels outside early launch (NCCL's, copies) do not overlap at all.
// - The kernel behind may come early, but not before every block of this one has run pdl_launch: all of this call's blocks are
//   there by then. Its own blocks then sleep in pdl_wait: they hold registers, but nobody waits for them. The same holds down the
//   chain, however many kernels come early.
// - So all blocks of a call have the GPU to themselves. There are at most 66 (PeerCalls.cs: half the multiprocessors) of at most 512
//   threads; __launch_bounds__(512) keeps those below 128 registers a thread, 65,536 a block: one block fits on any free
//   multiprocessor, with a few hundred bytes of shared memory. Clusters are at most 8 blocks of 64 threads, 64 blocks in all: the
//   16 or 18 multiprocessors of one part of the GPU hold two clusters even with one block each, so 7 parts hold 14 of at most 8.
// - And were fewer blocks there at once, the first ones would still end: block b sends all it has before it waits, and waits only for
//   what blocks b of the peers send (every rank launches the same grid), and blocks start in order.
// A peer whose host is late is another matter: then a call lasts as long as the peer is late.
#pragma once
#include "common.cuh"

#define GROUP_BYTES 16                              // data of one item: 8 elements of a 2-byte type, 4 of f32
#define PER ((int)(GROUP_BYTES / sizeof(T)))
#define TILE 32                                     // items whose packets lie together, so that a warp stores runs of 512 bytes
#define TILE_BYTES (TILE * 2 * 16)
#define POLLS_BETWEEN_LOOKS 256                     // at the clock, some 0.1 ms
#define POLLS_BETWEEN_FAR_LOOKS 4096                // at host memory: 30,000 threads that wait must not fill the bus with reads

struct Group
{
    char* boxes[8]; // mailbox of each rank as this GPU maps it
    u32* state;     // own: epoch of the next call, whether the group has failed, blocks that have begun the call
    u32* report;    // host memory: failed, operation, missing rank, epoch; the host asks to give up
    i64 halfBytes;
    i64 timeout;    // nanoseconds
    i64 slotBytes;  // room for what one rank sends another in the first shot
    int rank;
    int operation;
    int twoShot;    // sums are made by one rank each and pushed to the others
};

struct Call
{
    u32 epoch;
    bool failed;
    i64 half; // offset of this call's half
};

DEVICE void load_state(const u32* p, u32& epoch, u32& failed)
{
    asm volatile("ld.relaxed.gpu.global.v2.u32 {%0, %1}, [%2];" : "=r"(epoch), "=r"(failed) : "l"(p) : "memory");
}
DEVICE void store_packet(char* p, u32 a, u32 b, u32 epoch)
{
    asm volatile("{ .reg .b64 x, y; mov.b64 x, {%1, %3}; mov.b64 y, {%2, %3}; st.relaxed.sys.global.v2.b64 [%0], {x, y}; }"
        :: "l"(p), "r"(a), "r"(b), "r"(epoch) : "memory");
}
// Gives the epoch if both halves have it, else something else.
DEVICE u32 load_packet(const char* p, u32& a, u32& b, u32 epoch)
{
    u32 e, f;
    asm volatile("{ .reg .b64 x, y; ld.relaxed.sys.global.v2.b64 {x, y}, [%4]; mov.b64 {%0, %1}, x; mov.b64 {%2, %3}, y; }"
        : "=r"(a), "=r"(e), "=r"(b), "=r"(f) : "l"(p) : "memory");
    return e == epoch ? f : ~epoch;
}
DEVICE i64 nanoseconds() { i64 t; asm volatile("mov.u64 %0, %%globaltimer;" : "=l"(t)); return t; }
DEVICE void store_report(u32* p, u32 value) { asm volatile("st.relaxed.sys.global.u32 [%0], %1;" :: "l"(p), "r"(value) : "memory"); }
DEVICE u32 load_report(const u32* p)
{
    u32 value;
    asm volatile("ld.relaxed.sys.global.u32 %0, [%1];" : "=r"(value) : "l"(p) : "memory");
    return value;
}
DEVICE void report_fence() { asm volatile("fence.acq_rel.sys;" ::: "memory"); }

DEVICE Call begin_call(const Group& group)
{
    Call call;
    u32 failed;
    load_state(group.state, call.epoch, failed);
    call.failed = failed != 0;
    call.half = (call.epoch & 1) * group.halfBytes;
    return call;
}

// Every thread of the grid comes here once, after it has used the epoch: the last block moves it on. Epoch 0 is fresh memory's.
DEVICE void arrive(const Group& group, const Call& call)
{
    __syncthreads();
    if (threadIdx.x == 0 && atomicAdd(group.state + 2, 1u) == gridDim.x - 1)
    {
        group.state[2] = 0;
        group.state[0] = call.epoch == 0xffffffffu ? 2 : call.epoch + 1;
    }
}

// Whether to stop waiting; called now and then.
DEVICE bool expired(const Group& group, const Call& call, i64& began, u32 polls, int missing)
{
    u32 epoch, failed;
    load_state(group.state, epoch, failed);
    const i64 now = nanoseconds();
    if (began == 0) { began = now; }
    if (failed != 0) { return true; }
    const bool givesUp = polls % POLLS_BETWEEN_FAR_LOOKS == 0 && load_report(group.report + 4) != 0;
    if (now - began < group.timeout && !givesUp) { return false; }
    if (atomicCAS(group.state + 1, 0u, 1u) == 0)
    {
        store_report(group.report + 1, group.operation);
        store_report(group.report + 2, missing);
        store_report(group.report + 3, call.epoch);
        report_fence();
        store_report(group.report, 1);
    }
    return true;
}

// ---- Items of 16 bytes, in 4 words.
DEVICE i64 place(int tile, int item) { return tile * (i64)TILE_BYTES + (item % TILE) * 16; }
DEVICE int owner(int item) { return item / TILE % RANKS; }
DEVICE bool sums_here(const Group& group, int item) { return !group.twoShot || owner(item) == group.rank; }

DEVICE void push_item(char* p, const u32 (&words)[4], u32 epoch)
{
    store_packet(p, words[0], words[1], epoch);
    store_packet(p + TILE * 16, words[2], words[3], epoch);
}
DEVICE bool load_item(const char* p, u32 (&words)[4], u32 epoch)
{
    const u32 first = load_packet(p, words[0], words[1], epoch);
    const u32 second = load_packet(p + TILE * 16, words[2], words[3], epoch);
    return first == epoch && second == epoch;
}

// Sends this rank's item to whoever sums it.
DEVICE void send_item(const Group& group, const Call& call, int item, const u32 (&words)[4])
{
    if (call.failed) { return; }
    const int tile = item / TILE;
    const i64 at = call.half + group.rank * group.slotBytes + place(group.twoShot ? tile / RANKS : tile, item);
#pragma unroll
    for (int r = 0; r < RANKS; r++)
    {
        if (r != group.rank && (!group.twoShot || r == tile % RANKS)) { push_item(group.boxes[r] + at, words, call.epoch); }
    }
}

template <typename E> DEVICE void add_words(const u32 (&words)[4], float (&sum)[GROUP_BYTES / sizeof(E)])
{
#pragma unroll
    for (int i = 0; i < 4; i++)
    {
        if constexpr (sizeof(E) == 4) { sum[i] += __uint_as_float(words[i]); }
        else
        {
            float low, high;
            unpack2<E>(words[i], low, high);
            sum[2 * i] += low;
            sum[2 * i + 1] += high;
        }
    }
}
template <typename E> DEVICE void round_words(const float (&sum)[GROUP_BYTES / sizeof(E)], u32 (&words)[4])
{
#pragma unroll
    for (int i = 0; i < 4; i++)
    {
        if constexpr (sizeof(E) == 4) { words[i] = __float_as_uint(sum[i]); } else { words[i] = pack2<E>(sum[2 * i], sum[2 * i + 1]); }
    }
}

// Adds the items of ranks [FIRST, FIRST + 4) to the sum once they are all there: as many as registers hold.
template <typename E, int FIRST>
DEVICE void add_ranks(
    const Group& group, const Call& call, const char* from, const u32 (&own)[4], float (&sum)[GROUP_BYTES / sizeof(E)])
{
    constexpr int count = RANKS - FIRST < 4 ? RANKS - FIRST : 4;
    u32 got[count][4];
    i64 began = 0;
    for (u32 polls = 1;; polls++)
    {
        int missing = -1;
#pragma unroll
        for (int r = count - 1; r >= 0; r--)
        {
            const int rank = FIRST + r;
            if (rank != group.rank && !load_item(from + rank * group.slotBytes, got[r], call.epoch)) { missing = rank; }
        }
        if (missing < 0 || call.failed) { break; }
        if (polls % POLLS_BETWEEN_LOOKS == 0 && expired(group, call, began, polls, missing)) { break; }
    }
#pragma unroll
    for (int r = 0; r < count; r++)
    {
        u32 term[4];
#pragma unroll
        for (int i = 0; i < 4; i++) { term[i] = FIRST + r == group.rank ? own[i] : got[r][i]; }
        add_words<E>(term, sum);
    }
}

// words: this rank's item in, the sum of all ranks' out: in f32, in rank order, rounded once. In two shots the others get it too.
template <typename E> DEVICE void sum_item(const Group& group, const Call& call, int item, u32 (&words)[4])
{
    const int tile = item / TILE;
    const char* from = group.boxes[group.rank] + call.half + place(group.twoShot ? tile / RANKS : tile, item);
    float sum[GROUP_BYTES / sizeof(E)] = {};
    add_ranks<E, 0>(group, call, from, words, sum);
    if constexpr (RANKS > 4) { add_ranks<E, 4>(group, call, from, words, sum); }
    round_words<E>(sum, words);
    if (group.twoShot && !call.failed)
    {
        const i64 at = call.half + RANKS * group.slotBytes + place(tile, item);
#pragma unroll
        for (int r = 0; r < RANKS; r++)
        {
            if (r != group.rank) { push_item(group.boxes[r] + at, words, call.epoch); }
        }
    }
}

// Two shots: the sum of an item that another rank made.
DEVICE void receive_item(const Group& group, const Call& call, int item, u32 (&words)[4])
{
    const char* from = group.boxes[group.rank] + call.half + RANKS * group.slotBytes + place(item / TILE, item);
    i64 began = 0;
    for (u32 polls = 1; !load_item(from, words, call.epoch) && !call.failed; polls++)
    {
        if (polls % POLLS_BETWEEN_LOOKS == 0 && expired(group, call, began, polls, owner(item))) { break; }
    }
}
