// Top-k, top-p and min-p (TokenFilters.cs): on the best tokens of a row, where those suffice, and on a whole row.
#pragma once
#include "sampling_noise.cuh"
#include "sampling_select.cuh"

#define BEYOND 0x7fffffff

// As CpuSamplingOps: bound of the relative error of a summary's sum of exponentials.
#define SUM_ERROR 2e-5

DEVICE double weight_of(float x, float best, float temperature) { return exp(((double)x - best) / temperature); }

// How many of the sorted keys the filters keep, or UNPROVEN; TokenFilters.Kept says what the arguments mean. n is at least 1.
CALLED int kept_of(const u64* keys, int n, float floor, double total, double totalError, const Settings& s)
{
    __shared__ int beyondTopK, belowMinP, reached;
    __shared__ double reachedSum;
    const float best = value_of(keys[0]);
    const int all = floor == NEGATIVE_INFINITY ? n : BEYOND;
    if (threadIdx.x == 0) { beyondTopK = belowMinP = reached = BEYOND; }
    __syncthreads();

    // Each filter drops from some place on: every thread looks for the first in its own part.
    if (s.topK > 0 && s.topK <= n)
    {
        for (int i = s.topK + threadIdx.x; i < n; i += blockDim.x)
        {
            if (keys[i] >> 32 != keys[s.topK - 1] >> 32)
            {
                atomicMin(&beyondTopK, i);
                break;
            }
        }
    }
    if (s.minP > 0)
    {
        for (int i = 1 + threadIdx.x; i < n; i += blockDim.x)
        {
            if (weight_of(value_of(keys[i]), best, s.temperature) < s.minP)
            {
                atomicMin(&belowMinP, i);
                break;
            }
        }
    }
    __syncthreads();
    const int topK = s.topK == 0 || s.topK > n ? all : min(beyondTopK, n);
    const int minP = s.minP == 0 ? all
        : belowMinP != BEYOND ? belowMinP
        : weight_of(floor, best, s.temperature) < s.minP ? n : BEYOND;
    int topP = all;
    if (s.topP < 1)
    {
        const int limit = min(topK, n);
        const bool isCut = s.topK > 0 && topK <= n;
        double low = total * (1 - totalError), high = total * (1 + totalError);
        if (s.topK > 0 && (isCut || topK == BEYOND))
        {
            double own = 0;
            for (int i = threadIdx.x; i < limit; i += blockDim.x) { own += weight_of(value_of(keys[i]), best, s.temperature); }
            low = block_total(own);
            high = isCut ? low : high * (1 + 1e-12);
        }
        double before = 0;
        for (int base = 0; base < limit && reached == BEYOND; base += blockDim.x)
        {
            const int i = base + threadIdx.x;
            double here;
            const double sum = before
                + block_scan(i < limit ? weight_of(value_of(keys[i]), best, s.temperature) : 0.0, here);
            if (i < limit && sum >= s.topP * low) { atomicMin(&reached, i); }
            __syncthreads();
            if (i == reached) { reachedSum = sum; }
            before += here;
            __syncthreads();
        }
        topP = reached == BEYOND ? (topK <= n ? topK : all) : reachedSum >= s.topP * high ? reached + 1 : UNPROVEN;
    }
    const int kept = topP == UNPROVEN ? UNPROVEN : min(topK, min(topP, minP));
    __syncthreads();
    return kept == BEYOND ? UNPROVEN : kept;
}

// Filters the known tokens, all above floor, and draws one that is kept: its id, or UNPROVEN.
DEVICE int draw_known(
    const u64* keys, int n, float floor, double total, double totalError, int firstToken, const Settings& s, const Noise& noise)
{
    const int kept = kept_of(keys, n, floor, total, totalError, s);
    if (kept == UNPROVEN) { return UNPROVEN; }
    Drawn drawn = nothing_drawn();
    for (int i = threadIdx.x; i < kept; i += blockDim.x)
    {
        const int id = firstToken + id_of(keys[i]);
        const Drawn candidate = { score_of(value_of(keys[i]), word_of(noise, id), s.temperature), id };
        drawn = better(drawn, candidate);
    }
    return block_best(drawn).id;
}

// How many of the sorted keys have logits above floor.
DEVICE int above_floor(const u64* keys, int count, float floor)
{
    int least = 0, most = count;
    while (least < most)
    {
        const int middle = (least + most) / 2;
        if (value_of(keys[middle]) > floor) { least = middle + 1; } else { most = middle; }
    }
    return least;
}

// Weights as integers of 3 * bits bits, so that sums do not depend on their order; 128,256 tokens: 45 bits. Bins add up limbs of
// `bits` bits, since only additions of 32 bits are fast in shared memory: no more tokens than fit in 32 - bits bits.
// Bins of the first look are 1/64 of a temperature wide: they spread the tokens, whose leading bits are mostly the same.
struct Weights
{
    float best;
    float temperature;
    int bits;

    DEVICE u64 of(u64 key) const
    {
        return (u64)(weight_of(value_of(key), best, temperature) * (double)(1ULL << LIMBS * bits) + 0.5);
    }
    DEVICE u32 depth_bin(u64 key) const
    {
        const float depth = __fdiv_rn(best - value_of(key), temperature) * 64.0f;
        return BINS - 1 - (u32)fminf(depth, (float)(BINS - 1));
    }
    DEVICE void add(Room& room, u32 bin, u64 key) const
    {
        const u64 weight = of(key);
        const u32 mask = (1u << bits) - 1;
        atomicAdd(&room.limbs[0][bin], (u32)weight & mask);
        atomicAdd(&room.limbs[1][bin], (u32)(weight >> bits) & mask);
        atomicAdd(&room.limbs[2][bin], (u32)(weight >> 2 * bits)); // one bit more: the best token's weight is 2^(3 * bits)
        atomicAdd(&room.counts[bin], 1u);
    }
    DEVICE u64 sum(const Room& room, int bin) const
    {
        return room.limbs[0][bin] + ((u64)room.limbs[1][bin] << bits) + ((u64)room.limbs[2][bin] << 2 * bits);
    }
};

// The last of the best keys of visit(take), from low on, that together have `share` of all weight: at least one.
template <typename Visit>
DEVICE u64 cut_by_weight(Room& room, Visit visit, const Weights& weights, u64 low, double share)
{
    u64 prefix = 0, need = 0;
    u32 depth = 0;
    int shift = 64, step = 0;
    auto isIn = [&](u64 key, int looked, int fixedFrom)
    {
        return key >= low && (looked == 0 || (weights.depth_bin(key) == depth && (looked == 1 || key >> fixedFrom == prefix)));
    };
    do
    {
        const int width = step == 0 ? 0 : step % 3 == 0 ? 10 : 11, upper = shift;
        shift -= width;
        for (int b = threadIdx.x; b < BINS; b += blockDim.x)
        {
            room.limbs[0][b] = room.limbs[1][b] = room.limbs[2][b] = 0;
            room.counts[b] = 0;
        }
        __syncthreads();
        visit([&](u64 key)
        {
            if (!isIn(key, step, upper)) { return; }
            weights.add(room, step == 0 ? weights.depth_bin(key) : (u32)(key >> shift) & ((1u << width) - 1), key);
        });
        __syncthreads();
        const bool any = find_bin(room, BINS, [&](int b) { return weights.sum(room, b); }, [&](u64 total)
        {
            if (step == 0)
            {
                const u64 wanted = (u64)ceil(share * (double)total);
                need = wanted < 1 ? 1 : wanted > total ? total : wanted;
            }
            return need;
        });
        if (!any) { return low; }
        need -= room.above;
        if (step == 0) { depth = room.bin; } else { prefix = prefix << width | room.bin; }
        step++;
        __syncthreads();
    }
    while (room.inBin > CAPACITY);

    // Few are left: in order, one after the other.
    select_best(room, [&](auto take)
    {
        visit([&](u64 key) { if (isIn(key, step, shift)) { take(key); } });
    }, low, 1);
    const int found = (int)room.inBin;
    u64 before = 0;
    for (int base = 0; base < found; base += blockDim.x)
    {
        const int i = base + threadIdx.x;
        const u64 own = i < found ? weights.of(room.keys[i]) : 0;
        u64 here;
        const u64 sum = before + block_scan(own, here);
        if (sum - own < need && need <= sum) { room.bound = room.keys[i]; }
        before += here;
    }
    __syncthreads();
    return room.bound;
}

// Draws from all tokens of a row after the filters. best: the largest logit, finite.
CALLED int draw_whole(Room& room, const Logits logits, float best, const Settings& s, const Noise noise)
{
    auto visit = [&](auto take)
    {
        each_adjusted_quad(logits, 0, logits.n, [&](const float (&x)[QUAD], int i) { each_key(x, i, logits.n, take); });
    };
    u64 low = key_of(NEGATIVE_INFINITY, 0) + 1; // tokens that cannot be drawn do not count
    if (s.topK > 0 && s.topK < logits.n) { low = cut_by_count(room, visit, low, s.topK, 3, 0); }
    if (s.topP < 1)
    {
        const Weights weights = { best, s.temperature, min(16, __clz(logits.n)) };
        low = cut_by_weight(room, visit, weights, low, s.topP);
    }
    const Drawn drawn = draw([&](auto take)
    {
        each_adjusted_quad(logits, 0, logits.n, [&](float (&x)[QUAD], int i)
        {
#pragma unroll
            for (int j = 0; j < QUAD; j++)
            {
                const bool kept = i + j < logits.n && key_of(x[j], i + j) >= low
                    && !(s.minP > 0 && weight_of(x[j], best, s.temperature) < s.minP);
                x[j] = kept ? x[j] : NEGATIVE_INFINITY;
            }
            take(x, i);
        });
    }, best, logits.firstToken, noise);
    return drawn.id < 0 ? NOTHING_LEFT : drawn.id;
}
