// peer_gather: whole[:, start_r .. start_r + widths_r) = part of rank r, through the ranks' mailboxes (peer.cuh); for small parts.
// Define: RANKS. Elements of 2 or 4 bytes; a packet carries two. Each slot holds up to `packets` packets, and even a rank without
// columns sends one.
#include "peer.cuh"

#define THREADS 512

struct Arguments
{
    Group group;
    const char* part;
    char* whole;
    i64 partStride;  // elements
    i64 wholeStride;
    int widths[8];
    int rows;
    int element;     // bytes
    int packets;     // most of any rank
};

DEVICE u32 load_element(const char* p, int element) { return element == 4 ? *(const u32*)p : *(const u16*)p; }
DEVICE void store_element(char* p, int element, u32 bits)
{
    if (element == 4) { *(u32*)p = bits; } else { *(u16*)p = (u16)bits; }
}

// Columns of a rank and where they start.
DEVICE int width_of(const Arguments& args, int rank, int& start)
{
    int width = 0;
    start = 0;
#pragma unroll
    for (int r = 0; r < RANKS; r++)
    {
        if (r < rank) { start += args.widths[r]; }
        if (r == rank) { width = args.widths[r]; }
    }
    return width;
}

// Puts elements 2p and 2p + 1 of a rank's part where they belong.
DEVICE void lay_out(const Arguments& args, int width, int start, int packet, const u32 (&words)[2])
{
#pragma unroll
    for (int k = 0; k < 2; k++)
    {
        const int index = 2 * packet + k;
        if (index < args.rows * width)
        {
            const i64 at = index / width * args.wholeStride + start + index % width;
            store_element(args.whole + at * args.element, args.element, words[k]);
        }
    }
}

extern "C" __global__ void __launch_bounds__(THREADS) peer_gather(const Arguments args)
{
    pdl_launch();
    pdl_wait();
    const Group& group = args.group;
    const Call call = begin_call(group);
    const int thread = blockIdx.x * blockDim.x + threadIdx.x, step = gridDim.x * blockDim.x;
    int start;
    const int own = width_of(args, group.rank, start), count = args.rows * own;
    for (int packet = thread; packet == 0 || 2 * packet < count; packet += step)
    {
        u32 words[2] = {};
#pragma unroll
        for (int k = 0; k < 2; k++)
        {
            const int index = 2 * packet + k;
            if (index < count)
            {
                const i64 at = index / own * args.partStride + index % own;
                words[k] = load_element(args.part + at * args.element, args.element);
            }
        }
#pragma unroll
        for (int r = 0; r < RANKS; r++)
        {
            if (r != group.rank && !call.failed)
            {
                char* slot = group.boxes[r] + call.half + group.rank * group.slotBytes;
                store_packet(slot + packet * (i64)16, words[0], words[1], call.epoch);
            }
        }
        lay_out(args, own, start, packet, words);
    }
    arrive(group, call);
    for (int i = thread; i < RANKS * args.packets; i += step)
    {
        const int source = i / args.packets, packet = i % args.packets;
        const int width = width_of(args, source, start);
        if (source == group.rank || (packet > 0 && 2 * packet >= args.rows * width)) { continue; }
        const char* from = group.boxes[group.rank] + call.half + source * group.slotBytes + packet * (i64)16;
        u32 words[2];
        i64 began = 0;
        for (u32 polls = 1; load_packet(from, words[0], words[1], call.epoch) != call.epoch && !call.failed; polls++)
        {
            if (polls % POLLS_BETWEEN_LOOKS == 0 && expired(group, call, began, polls, source)) { break; }
        }
        lay_out(args, width, start, packet, words);
    }
}
