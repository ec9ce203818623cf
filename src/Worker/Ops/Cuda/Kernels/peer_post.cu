// peer_post: a message of some words, in packets (peer.cuh) that carry its number instead of an epoch. The sender stores and ends; the
// receiver waits for each packet. One block; it counts no epoch and so may run at different times on the two ranks, beside all other
// calls. A slot holds an older message's number until its packets come. Define: RANKS.
#include "peer.cuh"

#define THREADS 256

struct Arguments
{
    Group group;
    char* slot;   // of the ring in the receiver's mailbox
    u32* words;
    u32 number;   // of the message, from 1
    int count;
    int peer;
    int takes;
};

extern "C" __global__ void __launch_bounds__(THREADS) peer_post(const Arguments args)
{
    pdl_launch();
    pdl_wait();
    Call call = begin_call(args.group);
    call.epoch = args.number;
    if (call.failed) { return; }
    for (int packet = threadIdx.x; 2 * packet < args.count; packet += THREADS)
    {
        char* at = args.slot + packet * (i64)16;
        const int first = 2 * packet;
        const bool both = first + 1 < args.count;
        if (!args.takes)
        {
            store_packet(at, args.words[first], both ? args.words[first + 1] : 0, args.number);
            continue;
        }
        u32 a, b;
        bool there;
        i64 began = 0;
        for (u32 polls = 1; !(there = load_packet(at, a, b, args.number) == args.number); polls++)
        {
            if (polls % POLLS_BETWEEN_LOOKS == 0 && expired(args.group, call, began, polls, args.peer)) { break; }
        }
        if (!there) { return; }
        args.words[first] = a;
        if (both) { args.words[first + 1] = b; }
    }
}
