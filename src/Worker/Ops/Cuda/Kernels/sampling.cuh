// What sampling kernels share: rows and their settings, logits after penalties, the noise, and reductions over a block.
// The words on C#'s side (SlotSettings, SummaryLayout, GumbelNoise, Philox4x32) define them; results agree with the CPU's but for the
// last bits of double exponentials and logarithms.
#pragma once
#include "common.cuh"

typedef unsigned long long u64;

// Long functions that are used in several places: part of a kernel, except where a kernel that holds many of them says that it calls them.
// The compiler takes 6 s for sampling_join.cu then, and not 16; sampling_scan.cu, which all tokens go through, would take 22 us and not 17.
#ifdef CALLS
#define CALLED __device__ __noinline__
#else
#define CALLED DEVICE
#endif

// ISamplingOps
#define NOT_FINITE (-1)
#define NOTHING_LEFT (-2)
#define UNPROVEN (-3)
#define IN_PROMPT (1 << 30)

// SummaryLayout
#define WORD_NOT_FINITE 0
#define WORD_DRAWN_ID 1
#define WORD_DRAWN_SCORE 2
#define WORD_SUM 4
#define WORD_RAW_MAXIMUM 6
#define WORD_RAW_SUM 7
#define WORD_VALUES 9

// SamplingRows
struct Rows
{
    const int* slots;
    const int* positions;
    const int* settings;
    int* counts;
    i64 settingsStride;
    i64 countsStride;
};

// SlotSettings
struct Settings
{
    float temperature;
    int topK;
    float topP;
    float minP;
    float repetitionPenalty;
    float presencePenalty;
    float frequencyPenalty;
    u32 seedLow;
    u32 seedHigh;
    int logProbs;
    int promptTokens;
    int minNewTokens;
    int eosCount;
    int eosIds[1]; // and those behind it
};

DEVICE const Settings& settings_of(const Rows& rows, int slot) { return *(const Settings*)(rows.settings + slot * rows.settingsStride); }
DEVICE bool is_greedy(const Settings& s) { return s.temperature == 0; }
DEVICE bool has_filters(const Settings& s) { return s.temperature != 0 && (s.topK > 0 || s.topP < 1 || s.minP > 0); }
DEVICE bool has_penalties(const Settings& s)
{
    return s.repetitionPenalty != 1 || s.presencePenalty != 0 || s.frequencyPenalty != 0;
}

// ---- Doubles in a summary stand at any word.
DEVICE void write_double(int* words, double value)
{
    const i64 bits = __double_as_longlong(value);
    words[0] = (int)bits;
    words[1] = (int)(bits >> 32);
}
DEVICE double read_double(const int* words) { return __longlong_as_double((i64)words[1] << 32 | (u32)words[0]); }

// ---- A token as one number, larger = better: larger logit, then lower id. 0 is no token. -0 counts as +0.
DEVICE u32 order_of(float x)
{
    const u32 bits = __float_as_uint(x + 0.0f);
    return bits & 0x80000000u ? ~bits : bits | 0x80000000u;
}
DEVICE u64 key_of(float x, int id) { return (u64)order_of(x) << 32 | (u32)~id; }
DEVICE int id_of(u64 key) { return (int)~(u32)key; }
DEVICE float value_of(u64 key)
{
    const u32 order = (u32)(key >> 32);
    return __uint_as_float(order & 0x80000000u ? order & 0x7fffffffu : ~order);
}

// ---- Reductions; all threads of the block take part and all get the result. blockDim.x is a multiple of 32.
#define WARPS_OF_BLOCK ((int)(blockDim.x >> 5))

DEVICE u64 warp_max(u64 v)
{
    const u32 high = __reduce_max_sync(FULL_WARP, (u32)(v >> 32));
    return (u64)high << 32 | __reduce_max_sync(FULL_WARP, (u32)(v >> 32) == high ? (u32)v : 0u);
}
CALLED u64 block_max(u64 v)
{
    __shared__ u64 shared[32];
    v = warp_max(v);
    if ((threadIdx.x & 31) == 0) { shared[threadIdx.x >> 5] = v; }
    __syncthreads();
    v = shared[0];
    for (int w = 1; w < WARPS_OF_BLOCK; w++) { v = shared[w] > v ? shared[w] : v; }
    __syncthreads();
    return v;
}

// In a fixed order.
CALLED double block_total(double v)
{
    __shared__ double shared[32];
#pragma unroll
    for (int offset = 16; offset > 0; offset >>= 1) { v += __shfl_xor_sync(FULL_WARP, v, offset); }
    if ((threadIdx.x & 31) == 0) { shared[threadIdx.x >> 5] = v; }
    __syncthreads();
    v = 0;
    for (int w = 0; w < WARPS_OF_BLOCK; w++) { v += shared[w]; }
    __syncthreads();
    return v;
}

// Sum of v over the threads up to this one; total: over all.
template <typename V> CALLED V block_scan(V v, V& total)
{
    __shared__ V shared[32];
    const int lane = threadIdx.x & 31, warp = threadIdx.x >> 5;
#pragma unroll
    for (int offset = 1; offset < 32; offset <<= 1)
    {
        const V other = __shfl_up_sync(FULL_WARP, v, offset);
        v = lane >= offset ? other + v : v;
    }
    if (lane == 31) { shared[warp] = v; }
    __syncthreads();
    V before = 0;
    total = 0;
    for (int w = 0; w < WARPS_OF_BLOCK; w++)
    {
        before = w == warp ? total : before;
        total += shared[w];
    }
    __syncthreads();
    return before + v;
}

// ---- A row's logits. Threads read quads: four consecutive tokens, the first at a multiple of four.
#define QUAD 4
#define CHUNK (32 * QUAD)

DEVICE int chunk_count_of(int tokens) { return (tokens + CHUNK - 1) / CHUNK; }

// Penalties and bans of a quad, of which `left` tokens are there. Rounds after every operation, as the CPU does.
CALLED float4 adjusted(float4 quad, const int* counts, const Settings& s, int banned, int firstId, int left)
{
    float x[QUAD] = { quad.x, quad.y, quad.z, quad.w };
    if (counts != nullptr)
    {
#pragma unroll
        for (int j = 0; j < QUAD; j++)
        {
            const int count = j < left ? counts[j] : 0;
            if (count == 0) { continue; }
            const int generated = count & (IN_PROMPT - 1);
            x[j] = x[j] > 0 ? __fdiv_rn(x[j], s.repetitionPenalty) : __fmul_rn(x[j], s.repetitionPenalty);
            if (generated == 0) { continue; }
            x[j] = __fsub_rn(__fsub_rn(x[j], s.presencePenalty), __fmul_rn(s.frequencyPenalty, (float)generated));
        }
    }
    for (int e = 0; e < banned; e++)
    {
        const int at = s.eosIds[e] - firstId;
#pragma unroll
        for (int j = 0; j < QUAD; j++) { x[j] = at == j ? NEGATIVE_INFINITY : x[j]; }
    }
    return make_float4(x[0], x[1], x[2], x[3]);
}

struct Logits
{
    const float* raw;
    const int* counts; // null: no penalties
    const Settings* settings;
    int banned;        // end-of-sequence ids that are banned: 0 or all
    int n;
    int firstToken;
    int wide;

    // Raw logits; -infinity past the end.
    DEVICE float4 quad(int i) const
    {
        if (wide && i + QUAD <= n) { return *(const float4*)(raw + i); }
        return make_float4(
            i < n ? raw[i] : NEGATIVE_INFINITY, i + 1 < n ? raw[i + 1] : NEGATIVE_INFINITY,
            i + 2 < n ? raw[i + 2] : NEGATIVE_INFINITY, i + 3 < n ? raw[i + 3] : NEGATIVE_INFINITY);
    }

    DEVICE void adjust(float (&x)[QUAD], int i) const
    {
        if (counts == nullptr && banned == 0) { return; }
        const float4 quad = adjusted(
            make_float4(x[0], x[1], x[2], x[3]), counts == nullptr ? nullptr : counts + i, *settings, banned, firstToken + i, n - i);
        x[0] = quad.x;
        x[1] = quad.y;
        x[2] = quad.z;
        x[3] = quad.w;
    }
};

DEVICE Logits raw_logits(const float* raw, int n, int firstToken, int wide)
{
    Logits logits = { raw, nullptr, nullptr, 0, n, firstToken, wide };
    return logits;
}
DEVICE Logits after_penalties(Logits logits, const Rows& rows, int row, int slot)
{
    const Settings& s = settings_of(rows, slot);
    logits.settings = &s;
    logits.counts = has_penalties(s) ? rows.counts + slot * rows.countsStride : nullptr;
    logits.banned = rows.positions[row] - s.promptTokens < s.minNewTokens ? s.eosCount : 0;
    return logits;
}

// Quads on their way to a thread: of its next AHEAD visits.
#define AHEAD 4
struct Ahead
{
    float4 quads[AHEAD];

    DEVICE float4 shift(float4 last)
    {
        const float4 first = quads[0];
#pragma unroll
        for (int a = 1; a < AHEAD; a++) { quads[a - 1] = quads[a]; }
        quads[AHEAD - 1] = last;
        return first;
    }
};
DEVICE float4 no_quad() { return make_float4(NEGATIVE_INFINITY, NEGATIVE_INFINITY, NEGATIVE_INFINITY, NEGATIVE_INFINITY); }
DEVICE Ahead look_ahead(const Logits& logits, int start, int end)
{
    Ahead ahead;
#pragma unroll
    for (int a = 0; a < AHEAD; a++)
    {
        const int i = start + QUAD * (int)(a * blockDim.x + threadIdx.x);
        ahead.quads[a] = i < end ? logits.quad(i) : no_quad();
    }
    return ahead;
}

// Calls visit(x, i) with the raw quads from start to end, one row of quads of the block after the other. ahead: look_ahead of the same
// range. All lanes of a warp call together; past the end x is -infinity.
template <typename Visit> DEVICE void each_quad(const Logits& logits, int start, int end, Ahead ahead, Visit visit)
{
    const int step = QUAD * blockDim.x, lane = threadIdx.x & 31;
    for (int base = start + QUAD * (int)(threadIdx.x - lane); base < end; base += step)
    {
        const int i = base + QUAD * lane, later = i + AHEAD * step;
        const float4 quad = ahead.shift(later < end ? logits.quad(later) : no_quad());
        float x[QUAD] = { quad.x, quad.y, quad.z, quad.w };
        visit(x, i);
    }
}
template <typename Visit> DEVICE void each_adjusted_quad(const Logits& logits, int start, int end, Visit visit)
{
    each_quad(logits, start, end, look_ahead(logits, start, end), [&](float (&x)[QUAD], int i)
    {
        logits.adjust(x, i);
        visit(x, i);
    });
}
