// Second step of a summary, where lists of best tokens are asked for or a row has filters: one block a row. Where nobody shares the
// vocabulary, the filters are decided here: by the 256 best tokens, or, where those do not suffice, by all.
#define CALLS
#include "sampling_parts.cuh"
#include "sampling_filters.cuh"

#define THREADS 512

DEVICE void write_candidates(Room& room, const Logits& logits, const u64* chunks, int* summary, int count)
{
    const int found = best_tokens(room, logits, chunks, count);
    for (int i = threadIdx.x; i < count; i += blockDim.x)
    {
        write_candidate(summary, count, i, i < found ? room.keys[i] : 0, logits.firstToken);
    }
    __syncthreads();
}

// The token that filters and noise choose; best: finite.
DEVICE int decide(
    Room& room, const Logits& logits, const u64* chunks, float best, double total, const Settings& s, const Noise& noise)
{
    const int count = chunk_count_of(logits.n), want = count <= CAPACITY / CHUNK ? count : min(CHOSEN_CHUNKS, count / 2);
    const int found = best_tokens(room, logits, chunks, want);
    const float floor = found == logits.n ? NEGATIVE_INFINITY : value_of(room.keys[found - 1]);
    const int known = above_floor(room.keys, found, floor);
    const int token = known == 0 ? UNPROVEN : draw_known(room.keys, known, floor, total, 0.0, logits.firstToken, s, noise);
    return token == UNPROVEN ? draw_whole(room, logits, best, s, noise) : token;
}

extern "C" __global__ void __launch_bounds__(THREADS) sampling_join(const Arguments args)
{
    __shared__ Room room;
    pdl_launch();
    pdl_wait();
    const int row = blockIdx.x, slot = args.rows.slots[row];
    if (slot < 0) { return; }
    const Settings& s = settings_of(args.rows, slot);
    const Joined joined = join_parts(args, row, s);
    int* summary = args.summary + row * args.summaryStride;
    if (joined.notFinite) { return; }

    const Logits raw = raw_logits(args.logits + row * args.logitsStride, args.columns, args.firstToken, args.wide);
    const i64 firstChunk = (i64)row * chunk_count(args);
    if (s.logProbs > 0)
    {
        const int values = WORD_VALUES + 2 * args.candidates;
        write_candidates(room, raw, args.rawChunks + firstChunk, summary + values, args.logProbs);
    }
    if (!has_filters(s)) { return; }

    const Logits logits = after_penalties(raw, args.rows, row, slot);
    if (!args.whole)
    {
        write_candidates(room, logits, args.chunks + firstChunk, summary + WORD_VALUES, args.candidates);
        return;
    }
    if (joined.best == 0 || value_of(joined.best) == NEGATIVE_INFINITY) { return; }
    const int token = decide(
        room, logits, args.chunks + firstChunk, value_of(joined.best), joined.sum, s, noise_of(s, args.rows.positions[row]));
    if (threadIdx.x == 0) { summary[WORD_DRAWN_ID] = token; }
}
