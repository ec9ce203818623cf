// Draws one row's token from all its logits after penalties: one block.
#define CALLS
#include "sampling_filters.cuh"

#define THREADS 512

struct Arguments
{
    Rows rows;
    const float* all;
    int* outcomes;
    int row;
    int n;
    int wide;
};

extern "C" __global__ void __launch_bounds__(THREADS) sampling_whole(const Arguments args)
{
    __shared__ Room room;
    pdl_launch();
    pdl_wait();
    const int slot = args.rows.slots[args.row];
    if (slot < 0) { return; }
    const Settings& s = settings_of(args.rows, slot);
    const Logits logits = raw_logits(args.all, args.n, 0, args.wide);
    u64 best = 0;
    each_adjusted_quad(logits, 0, args.n, [&](const float (&x)[QUAD], int i)
    {
        each_key(x, i, args.n, [&](u64 key) { best = key > best ? key : best; });
    });
    best = block_max(best);
    const int outcome = value_of(best) == NEGATIVE_INFINITY ? NOTHING_LEFT
        : is_greedy(s) ? id_of(best)
        : draw_whole(room, logits, value_of(best), s, noise_of(s, args.rows.positions[args.row]));
    if (threadIdx.x == 0) { args.outcomes[args.row] = outcome; }
}
