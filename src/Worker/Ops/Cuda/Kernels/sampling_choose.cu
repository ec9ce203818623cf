// Draws each row's token from the summaries of all ranks: one block a row. The filters' candidates are sorted in shared memory.
#include "sampling_filters.cuh"

#define MAX_THREADS 512

struct Arguments
{
    Rows rows;
    const int* summaries;
    int* outcomes;
    i64 stride;
    u64 longer;      // bit r: rank r has more tokens than candidates
    int ranks;
    int words;
    int candidates;
    int whole;
};

DEVICE float value_at(const int* summary, int candidate) { return __int_as_float(summary[WORD_VALUES + candidate]); }

// Ranks hold rising ids: of equal values the first rank's is the lowest id.
DEVICE int best_candidate(const Arguments& args, const int* summaries)
{
    float best = NEGATIVE_INFINITY;
    int id = NOTHING_LEFT;
    for (int r = 0; r < args.ranks; r++)
    {
        const int* own = summaries + r * args.words;
        const float value = value_at(own, 0);
        id = value > best ? own[WORD_VALUES + args.candidates] : id;
        best = fmaxf(best, value);
    }
    return id;
}

DEVICE int best_drawn(const Arguments& args, const int* summaries)
{
    Drawn best = nothing_drawn();
    for (int r = 0; r < args.ranks; r++)
    {
        const int* own = summaries + r * args.words;
        const Drawn other = { read_double(own + WORD_DRAWN_SCORE), own[WORD_DRAWN_ID] };
        best = better(best, other);
    }
    return best.id >= 0 ? best.id : summaries[WORD_DRAWN_ID] == UNPROVEN ? UNPROVEN : NOTHING_LEFT;
}

DEVICE int draw_candidate(const Arguments& args, const int* summaries, const Settings& s, const Noise& noise, u64* keys)
{
    __shared__ int found;
    float floor = NEGATIVE_INFINITY, best = NEGATIVE_INFINITY;
    for (int r = 0; r < args.ranks; r++)
    {
        const int* own = summaries + r * args.words;
        if (args.longer >> r & 1) { floor = fmaxf(floor, value_at(own, args.candidates - 1)); }
        best = fmaxf(best, value_at(own, 0));
    }
    if (best == NEGATIVE_INFINITY) { return NOTHING_LEFT; }

    if (threadIdx.x == 0) { found = 0; }
    __syncthreads();
    for (int c = threadIdx.x; c < args.ranks * args.candidates; c += blockDim.x)
    {
        const int* own = summaries + c / args.candidates * args.words;
        const int i = c % args.candidates;
        const float value = value_at(own, i);
        if (value > floor) { keys[atomicAdd(&found, 1)] = key_of(value, own[WORD_VALUES + args.candidates + i]); }
    }
    __syncthreads();
    const int known = found;
    if (known == 0) { return UNPROVEN; }
    sort_falling(keys, known);

    const bool isAll = floor == NEGATIVE_INFINITY;
    double total = 0;
    if (isAll)
    {
        for (int i = threadIdx.x; i < known; i += blockDim.x) { total += weight_of(value_of(keys[i]), best, s.temperature); }
        total = block_total(total);
    }
    else if (s.topP < 1)
    {
        for (int r = 0; r < args.ranks; r++)
        {
            const int* own = summaries + r * args.words;
            total += read_double(own + WORD_SUM) * weight_of(value_at(own, 0), best, s.temperature);
        }
    }
    return draw_known(keys, known, floor, total, isAll ? 0.0 : SUM_ERROR, 0, s, noise);
}

extern "C" __global__ void __launch_bounds__(MAX_THREADS) sampling_choose(const Arguments args)
{
    extern __shared__ u64 keys[];
    pdl_launch();
    pdl_wait();
    const int row = blockIdx.x, slot = args.rows.slots[row];
    if (slot < 0)
    {
        if (threadIdx.x == 0) { args.outcomes[row] = 0; }
        return;
    }
    const Settings& s = settings_of(args.rows, slot);
    const int* summaries = args.summaries + row * args.stride;
    int notFinite = 0;
    for (int r = 0; r < args.ranks; r++) { notFinite |= summaries[r * args.words + WORD_NOT_FINITE]; }
    const int outcome = notFinite != 0 ? NOT_FINITE
        : is_greedy(s) ? best_candidate(args, summaries)
        : !has_filters(s) || args.whole ? best_drawn(args, summaries)
        : draw_candidate(args, summaries, s, noise_of(s, args.rows.positions[row]), keys);
    if (threadIdx.x == 0) { args.outcomes[row] = outcome; }
}
