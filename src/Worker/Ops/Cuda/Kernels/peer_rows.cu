// peer_rows: the work of peer_sum_norm for many rows, divided: rank r makes the sum, the residual and the norm of rows
// [rows * r / RANKS, rows * (r + 1) / RANKS) alone, from parts that the others store into its mailbox, and stores the normed rows
// into theirs. Every byte crosses a link once on the way in and once out: 16 MiB between two GPUs 8 MiB each way twice. Only those
// rows of the residual are read and written; bits are those of peer_sum_norm.
// Defines: T activations of 2 bytes, W weight, RANKS, KEPT (eights of a row that each of 512 threads keeps).
//
// Data is stored bare; flags {epoch, chunks} follow it: stores of a block, barrier, fence of the system, flag; whoever acquires the
// flag and passes a barrier sees them. Block b ("lane") of a rank deals with rows b, b + lanes, ... of every rank's share:
//   1. it stores its partial rows into their owners' mailboxes and raises a flag at each owner;
//   2. it waits for the peers' lanes b, makes its own rows, four at a time, stores them into every mailbox and raises flags;
//   3. it copies the peers' normed rows, four behind, out of its mailbox.
// Waits of lane b are for what lanes b sent before a wait of the same depth, so lanes need no other lanes; all are on the GPU at
// once all the same (peer.cuh): at most BLOCKS a multiprocessor, which __launch_bounds__ makes room for: 2 x 512 threads x 64
// registers are 65,536. Nothing here is used twice in a call, and once is enough across calls: a rank stores parts of the next call
// only after this call has ended there, so after every owner has sent rows that it made of the parts before; and an owner stores
// rows of the next call only after it has the next call's parts, which that rank sent after it had copied the rows before.
#include "peer.cuh"

#define WARPS 16
#define THREADS (WARPS * 32)
#define CHUNK 4 // rows
#define BLOCKS (KEPT == 1 && RANKS <= 4 ? 2 : 1)
#define AT_ONCE (RANKS < 4 ? RANKS : 4) // parts that are loaded together: as many as registers hold

struct Arguments
{
    Group group;     // slotBytes: room for one rank's parts of another's rows
    const T* delta;
    T* residual;
    const W* weight;
    T* output;
    i64 deltaStride;
    i64 residualStride;
    i64 outputStride;
    i64 flags;       // offsets in a mailbox: flags [2][8][lanes] of 8 bytes, parts [RANKS - 1] slots, normed rows
    i64 parts;
    i64 results;
    int rows;
    int columns;
    float epsilon;
};

DEVICE void store_flag(char* p, u32 epoch, u32 chunks)
{
    asm volatile("{ .reg .b64 x; mov.b64 x, {%1, %2}; fence.acq_rel.sys; st.relaxed.sys.global.b64 [%0], x; }"
        :: "l"(p), "r"(epoch), "r"(chunks) : "memory");
}
DEVICE void load_flag(const char* p, u32& epoch, u32& chunks)
{
    asm volatile("{ .reg .b64 x; ld.acquire.sys.global.b64 x, [%2]; mov.b64 {%0, %1}, x; }"
        : "=r"(epoch), "=r"(chunks) : "l"(p) : "memory");
}

DEVICE int first_row(const Arguments& args, int rank) { return (int)((i64)args.rows * rank / RANKS); }
DEVICE int share(const Arguments& args, int rank) { return first_row(args, rank + 1) - first_row(args, rank); }
DEVICE i64 flag_at(const Arguments& args, int kind, int source) { return args.flags + ((kind * 8 + source) * (i64)gridDim.x + blockIdx.x) * 8; }
DEVICE i64 part_at(const Arguments& args, int source, int owner, int row)
{
    return args.parts + (source < owner ? source : source - 1) * args.group.slotBytes + row * (i64)(args.columns * (int)sizeof(T));
}
DEVICE i64 result_at(const Arguments& args, int row) { return args.results + row * (i64)(args.columns * (int)sizeof(T)); }

// Thread r raises this lane's flag at rank r, once all threads have stored.
DEVICE void raise(const Arguments& args, const Call& call, int kind, u32 chunks)
{
    __syncthreads();
    const int r = threadIdx.x;
    if (r < RANKS && r != args.group.rank && (kind == 1 || (int)blockIdx.x < share(args, r)))
    {
        store_flag(args.group.boxes[r] + flag_at(args, kind, args.group.rank), call.epoch, chunks);
    }
}

// Thread r waits for rank r's flag if this lane gets something of it. False in every thread if any peer was given up.
DEVICE bool await(const Arguments& args, const Call& call, int kind, u32 chunks, int* stopped)
{
    const int r = threadIdx.x;
    const int rows = (int)(blockIdx.x + (chunks - 1) * CHUNK * gridDim.x);
    if (r < RANKS && r != args.group.rank && (kind == 0 || rows < share(args, r)))
    {
        const char* p = args.group.boxes[args.group.rank] + flag_at(args, kind, r);
        i64 began = 0;
        for (u32 polls = 1;; polls++)
        {
            u32 epoch, seen;
            load_flag(p, epoch, seen);
            if (epoch == call.epoch && seen >= chunks) { break; }
            if (polls % POLLS_BETWEEN_LOOKS == 0 && expired(args.group, call, began, polls, r)) { *stopped = 1; break; }
        }
    }
    __syncthreads();
    return *stopped == 0;
}

// Copies up to CHUNK rows at strides in bytes: loads first, so that they wait together.
DEVICE void copy_rows(const char* from, i64 fromRow, char* to, i64 toRow, int count, int columns)
{
#pragma unroll
    for (int j = 0; j < KEPT; j++)
    {
        const int column = (j * THREADS + threadIdx.x) * 8;
        if (column >= columns) { continue; }
        uint4 q[CHUNK];
#pragma unroll
        for (int i = 0; i < CHUNK; i++)
        {
            if (i < count) { q[i] = *(const uint4*)(from + i * fromRow + column * (i64)sizeof(T)); }
        }
#pragma unroll
        for (int i = 0; i < CHUNK; i++)
        {
            if (i < count) { *(uint4*)(to + i * toRow + column * (i64)sizeof(T)) = q[i]; }
        }
    }
}

DEVICE int rows_left(int from, int end)
{
    const int left = (end - from + (int)gridDim.x - 1) / (int)gridDim.x;
    return left < CHUNK ? left : CHUNK;
}

DEVICE void send_parts(const Arguments& args)
{
    const i64 step = gridDim.x, rowBytes = args.columns * (i64)sizeof(T);
    for (int k = 1; k < RANKS; k++)
    {
        const int owner = (args.group.rank + k) % RANKS, count = share(args, owner), first = first_row(args, owner);
        for (int row = blockIdx.x; row < count; row += CHUNK * (int)step)
        {
            copy_rows((const char*)(args.delta + (first + row) * args.deltaStride), step * args.deltaStride * (i64)sizeof(T),
                args.group.boxes[owner] + part_at(args, args.group.rank, owner, row), step * rowBytes, rows_left(row, count), args.columns);
        }
    }
}

DEVICE void fetch_rows(const Arguments& args, int chunk)
{
    const i64 step = gridDim.x, rowBytes = args.columns * (i64)sizeof(T);
    const int row = (int)(blockIdx.x + chunk * CHUNK * step);
    for (int k = 1; k < RANKS; k++)
    {
        const int owner = (args.group.rank + k) % RANKS, count = share(args, owner), first = first_row(args, owner);
        if (row >= count) { continue; }
        copy_rows(args.group.boxes[args.group.rank] + result_at(args, first + row), step * rowBytes,
            (char*)(args.output + (first + row) * args.outputStride), step * args.outputStride * (i64)sizeof(T),
            rows_left(row, count), args.columns);
    }
}

DEVICE void words_of(const void* p, u32 (&words)[4])
{
    const uint4 q = *(const uint4*)p;
    words[0] = q.x; words[1] = q.y; words[2] = q.z; words[3] = q.w;
}

// The new residual of eight elements: sum over ranks, rounded; plus the residual, rounded.
DEVICE void add_parts(const Arguments& args, int row, int column, u32 (&kept)[4])
{
    const int rank = args.group.rank;
    const i64 at = first_row(args, rank) + row;
    const char* box = args.group.boxes[rank] + column * (i64)sizeof(T);
    words_of(args.residual + at * args.residualStride + column, kept);
    float sum[8] = {};
    u32 terms[AT_ONCE][4];
#pragma unroll
    for (int first = 0; first < RANKS; first += AT_ONCE)
    {
#pragma unroll
        for (int r = first; r < RANKS && r < first + AT_ONCE; r++)
        {
            const char* own = (const char*)(args.delta + at * args.deltaStride + column);
            words_of(r == rank ? own : box + part_at(args, r, rank, row), terms[r - first]);
        }
#pragma unroll
        for (int r = first; r < RANKS && r < first + AT_ONCE; r++) { add_words<T>(terms[r - first], sum); }
    }
    round_words<T>(sum, terms[0]);
    float both[8] = {};
    add_words<T>(kept, both);
    add_words<T>(terms[0], both);
    round_words<T>(both, kept);
}

DEVICE void make_row(const Arguments& args, int row, float* partials)
{
    const i64 at = first_row(args, args.group.rank) + row;
    u32 kept[KEPT][4];
    float sum = 0;
#pragma unroll
    for (int j = 0; j < KEPT; j++)
    {
        const int column = (j * THREADS + threadIdx.x) * 8;
        if (column >= args.columns) { continue; }
        add_parts(args, row, column, kept[j]);
        *(uint4*)(args.residual + at * args.residualStride + column) = make_uint4(kept[j][0], kept[j][1], kept[j][2], kept[j][3]);
        float v[8];
        unpack8<T>(make_uint4(kept[j][0], kept[j][1], kept[j][2], kept[j][3]), v);
#pragma unroll
        for (int e = 0; e < 8; e++) { sum = fmaf(v[e], v[e], sum); }
    }
    const float factor = 1.0f / sqrtf(block_sum<WARPS>(sum, partials) / args.columns + args.epsilon);
#pragma unroll
    for (int j = 0; j < KEPT; j++)
    {
        const int column = (j * THREADS + threadIdx.x) * 8;
        if (column >= args.columns) { continue; }
        float v[8], w[8];
        unpack8<T>(make_uint4(kept[j][0], kept[j][1], kept[j][2], kept[j][3]), v);
        load8<W>(args.weight + column, w);
#pragma unroll
        for (int e = 0; e < 8; e++) { v[e] = w[e] * (v[e] * factor); }
        store8<T>(args.output + at * args.outputStride + column, v);
#pragma unroll
        for (int r = 0; r < RANKS; r++)
        {
            if (r != args.group.rank) { store8<T>((T*)(args.group.boxes[r] + result_at(args, (int)at)) + column, v); }
        }
    }
}

extern "C" __global__ void __launch_bounds__(THREADS, BLOCKS) peer_rows(const Arguments args)
{
    __shared__ float partials[2 * WARPS];
    __shared__ int stopped[1];
    pdl_launch();
    if (threadIdx.x == 0) { *stopped = 0; }
    pdl_wait();
    const Call call = begin_call(args.group);
    arrive(args.group, call);
    if (call.failed) { return; }
    send_parts(args);
    raise(args, call, 0, 1);
    const int own = share(args, args.group.rank), lanes = gridDim.x, longest = (args.rows + RANKS - 1) / RANKS;
    if ((int)blockIdx.x < own && !await(args, call, 0, 1, stopped)) { return; }
    const int chunks = (longest - (int)blockIdx.x + CHUNK * lanes - 1) / (CHUNK * lanes);
    int turn = 0;
    for (int chunk = 0; chunk <= chunks; chunk++)
    {
        const int first = blockIdx.x + chunk * CHUNK * lanes;
        for (int i = 0; i < CHUNK && first + i * lanes < own; i++, turn ^= 1) { make_row(args, first + i * lanes, partials + turn * WARPS); }
        if (first < own) { raise(args, call, 1, chunk + 1); }
        if (chunk == 0) { continue; }
        if (!await(args, call, 1, chunk, stopped)) { return; }
        fetch_rows(args, chunk - 1);
    }
}
