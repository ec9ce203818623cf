// A row's summary in two steps: blocks describe parts of the row (sampling_scan.cu), then one block joins what they found.
#pragma once
#include "sampling_noise.cuh"

struct Part
{
    double score;
    double sum;      // of exp((x - best) / temperature) over the part
    double rawSum;   // of exp(raw - rawBest)
    u64 best;        // after penalties
    u64 rawBest;
    int id;          // largest logit / temperature + noise, with its score
    int notFinite;
};

// The launches of one summary.
struct Arguments
{
    Rows rows;
    const float* logits;
    int* summary;
    Part* parts;      // [rows, partCount]
    u64* chunks;      // [rows, chunkCount]: best token of each 128, after penalties
    u64* rawChunks;   // the same, raw
    u32* arrivals;    // [rows], 0
    i64 logitsStride;
    i64 summaryStride;
    int columns;
    int firstToken;
    int wide;
    int tile;         // tokens of a part, a multiple of 1,024
    int partCount;
    int candidates;
    int logProbs;
    int whole;
};

DEVICE int chunk_count(const Arguments& args) { return chunk_count_of(args.columns); }

// What other blocks of this launch have written, past the first-level cache.
DEVICE Part read_part(const Part* p)
{
    Part part;
    asm volatile("ld.global.cg.v2.f64 {%0, %1}, [%2];" : "=d"(part.score), "=d"(part.sum) : "l"(p) : "memory");
    asm volatile("ld.global.cg.f64 %0, [%1];" : "=d"(part.rawSum) : "l"(&p->rawSum) : "memory");
    asm volatile("ld.global.cg.u64 %0, [%1];" : "=l"(part.best) : "l"(&p->best) : "memory");
    asm volatile("ld.global.cg.u64 %0, [%1];" : "=l"(part.rawBest) : "l"(&p->rawBest) : "memory");
    asm volatile("ld.global.cg.v2.s32 {%0, %1}, [%2];" : "=r"(part.id), "=r"(part.notFinite) : "l"(&p->id) : "memory");
    return part;
}

struct Joined
{
    u64 best;
    double sum;
    bool notFinite;
};

DEVICE void write_candidate(int* summary, int count, int i, u64 key, int firstToken)
{
    summary[i] = key == 0 ? 0xff800000 : __float_as_int(value_of(key));
    summary[count + i] = key == 0 ? -1 : firstToken + id_of(key);
}

// Sum of exponentials of the whole row, from those of its parts, which refer to other maxima.
template <typename Sum, typename Best>
DEVICE double join_sums(const Arguments& args, const Part* parts, u64 best, float temperature, Sum sumOf, Best bestOf)
{
    const float maximum = value_of(best);
    if (best == 0 || maximum == NEGATIVE_INFINITY) { return 0; }
    double sum = 0;
    for (int p = threadIdx.x; p < args.partCount; p += blockDim.x)
    {
        const Part part = read_part(parts + p);
        const float own = value_of(bestOf(part));
        if (bestOf(part) != 0 && own > NEGATIVE_INFINITY) { sum += sumOf(part) * exp(((double)own - maximum) / temperature); }
    }
    return block_total(sum);
}

// Writes all of a row's summary but the lists of best tokens; of a list that has one entry alone, that too.
DEVICE Joined join_parts(const Arguments& args, int row, const Settings& s)
{
    const Part* parts = args.parts + (i64)row * args.partCount;
    int* summary = args.summary + row * args.summaryStride;
    Joined joined = { 0, 0, false };
    u64 rawBest = 0;
    int bad = 0;
    Drawn drawn = nothing_drawn();
    for (int p = threadIdx.x; p < args.partCount; p += blockDim.x)
    {
        const Part part = read_part(parts + p);
        const Drawn other = { part.score, part.id };
        joined.best = part.best > joined.best ? part.best : joined.best;
        rawBest = part.rawBest > rawBest ? part.rawBest : rawBest;
        bad |= part.notFinite;
        drawn = better(drawn, other);
    }
    joined.notFinite = __syncthreads_or(bad) != 0;
    if (threadIdx.x == 0) { summary[WORD_NOT_FINITE] = joined.notFinite; }
    if (joined.notFinite) { return joined; }

    joined.best = block_max(joined.best);
    if (s.logProbs > 0)
    {
        rawBest = block_max(rawBest);
        const double rawSum = join_sums(
            args, parts, rawBest, 1, [](const Part& p) { return p.rawSum; }, [](const Part& p) { return p.rawBest; });
        if (threadIdx.x == 0)
        {
            summary[WORD_RAW_MAXIMUM] = rawBest == 0 ? 0xff800000 : __float_as_int(value_of(rawBest));
            write_double(summary + WORD_RAW_SUM, rawSum);
        }
    }
    if (has_filters(s))
    {
        joined.sum = s.topP < 1
            ? join_sums(
                args, parts, joined.best, s.temperature,
                [](const Part& p) { return p.sum; }, [](const Part& p) { return p.best; })
            : 0;
        if (threadIdx.x == 0)
        {
            write_double(summary + WORD_SUM, joined.sum);
            write_candidate(summary + WORD_VALUES, args.candidates, 0, joined.best, args.firstToken);

            // One token's filters keep it. Where there are more, sampling_join.cu decides; it is launched for more than one candidate.
            const bool any = joined.best != 0 && value_of(joined.best) > NEGATIVE_INFINITY;
            summary[WORD_DRAWN_ID] = !any ? -1 : args.columns == 1 ? args.firstToken : UNPROVEN;
            write_double(summary + WORD_DRAWN_SCORE, 0);
        }
    }
    else if (is_greedy(s))
    {
        if (threadIdx.x == 0) { write_candidate(summary + WORD_VALUES, args.candidates, 0, joined.best, args.firstToken); }
    }
    else
    {
        drawn = block_best(drawn);
        if (threadIdx.x == 0)
        {
            summary[WORD_DRAWN_ID] = drawn.id;
            write_double(summary + WORD_DRAWN_SCORE, drawn.score);
        }
    }
    return joined;
}
