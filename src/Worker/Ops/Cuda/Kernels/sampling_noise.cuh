// The noise of sampling (GumbelNoise.cs), and the token of a range that wins with it.
#pragma once
#include "sampling.cuh"

// Whose noise: sequence and position.
struct Noise
{
    u32 seedLow;
    u32 seedHigh;
    u32 position;
    float temperature;
};
DEVICE Noise noise_of(const Settings& s, int position)
{
    Noise noise = { s.seedLow, s.seedHigh, (u32)position, s.temperature };
    return noise;
}

DEVICE void philox(const Noise& noise, u32 counter, u32 (&c)[4])
{
    c[0] = counter;
    c[1] = noise.position;
    c[2] = 0;
    c[3] = 0;
    u32 k0 = noise.seedLow, k1 = noise.seedHigh;
#pragma unroll
    for (int round = 0; round < 10; round++)
    {
        const u32 high0 = __umulhi(0xD2511F53u, c[0]), low0 = 0xD2511F53u * c[0];
        const u32 high1 = __umulhi(0xCD9E8D57u, c[2]), low1 = 0xCD9E8D57u * c[2];
        c[0] = high1 ^ c[1] ^ k0;
        c[1] = low1;
        c[2] = high0 ^ c[3] ^ k1;
        c[3] = low0;
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
}

// Words of four consecutive tokens; those of one counter where the first id is a multiple of four.
DEVICE void four_words(const Noise& noise, int id, u32 (&w)[4])
{
    philox(noise, (u32)id >> 2, w);
    const int skip = id & 3;
    if (skip == 0) { return; }
    u32 more[4];
    philox(noise, ((u32)id >> 2) + 1, more);
    const u32 all[8] = { w[0], w[1], w[2], w[3], more[0], more[1], more[2], more[3] };
#pragma unroll
    for (int j = 0; j < 4; j++) { w[j] = skip == 1 ? all[j + 1] : skip == 2 ? all[j + 2] : all[j + 3]; }
}
DEVICE u32 word_of(const Noise& noise, int id)
{
    u32 w[4];
    philox(noise, (u32)id >> 2, w);
    return (id & 3) == 0 ? w[0] : (id & 3) == 1 ? w[1] : (id & 3) == 2 ? w[2] : w[3];
}

DEVICE double score_of(float x, u32 word, float temperature)
{
    return (double)x / temperature - log(-log((word + 0.5) * (1.0 / 4294967296.0)));
}

// The noise to 1e-4. Near u = 1 the logarithm is a series in 1 - u, which has the digits that u lacks.
DEVICE float rough_noise(u32 word)
{
    const float rest = ((float)~word + 0.5f) * (1.0f / 4294967296.0f);
    const float e = rest < 1.0f / 64.0f
        ? rest + rest * rest * (0.5f + rest * (1.0f / 3.0f))
        : -__logf(((float)word + 0.5f) * (1.0f / 4294967296.0f));
    return -__logf(e);
}

// A token and its score; of equal scores the lower id wins. Id -1: none.
struct Drawn
{
    double score;
    int id;
};
DEVICE Drawn nothing_drawn()
{
    Drawn none = { -__longlong_as_double(0x7ff0000000000000LL), -1 };
    return none;
}
DEVICE Drawn better(const Drawn& a, const Drawn& b)
{
    return b.id >= 0 && (a.id < 0 || b.score > a.score || (b.score == a.score && b.id < a.id)) ? b : a;
}
CALLED Drawn block_best(Drawn v)
{
    __shared__ double scores[32];
    __shared__ int ids[32];
#pragma unroll
    for (int offset = 16; offset > 0; offset >>= 1)
    {
        Drawn other;
        other.score = __shfl_xor_sync(FULL_WARP, v.score, offset);
        other.id = __shfl_xor_sync(FULL_WARP, v.id, offset);
        v = better(v, other);
    }
    if ((threadIdx.x & 31) == 0)
    {
        scores[threadIdx.x >> 5] = v.score;
        ids[threadIdx.x >> 5] = v.id;
    }
    __syncthreads();
    v.score = scores[0];
    v.id = ids[0];
    for (int w = 1; w < WARPS_OF_BLOCK; w++)
    {
        Drawn other = { scores[w], ids[w] };
        v = better(v, other);
    }
    __syncthreads();
    return v;
}

// Above the errors of rough scores near the best one; besides, x / temperature rounds in doubles, which makes scores equal where
// the temperature is tiny.
#ifndef ROUGH_MARGIN
#define ROUGH_MARGIN 1e-3f
#endif
#define LARGEST_NOISE 22.88f

// Token with the largest score of what each(visit) shows as quads visit(x, i), -infinity: not in it. maximum: the largest logit
// shown, finite. Rough scores in floats find the few tokens that may win, exact ones decide. A thread remembers its best; only where
// its second best may win too, all is looked through once more.
template <typename Each> DEVICE Drawn draw(Each each, float maximum, int firstToken, const Noise& noise)
{
    const float margin = ROUGH_MARGIN + (float)(fabs((double)maximum / noise.temperature) * 4.5e-16);
    float best = NEGATIVE_INFINITY, second = NEGATIVE_INFINITY, bestX = 0;
    int bestIndex = -1;
    auto rough = [&](const float (&x)[QUAD], int i, float least, auto visit)
    {
        const float top = fmaxf(fmaxf(x[0], x[1]), fmaxf(x[2], x[3]));
        if (top == NEGATIVE_INFINITY || __fdiv_rn(top - maximum, noise.temperature) + LARGEST_NOISE < least) { return; }
        u32 w[4];
        four_words(noise, firstToken + i, w);
#pragma unroll
        for (int j = 0; j < QUAD; j++)
        {
            if (x[j] > NEGATIVE_INFINITY) { visit(j, w[j], __fdiv_rn(x[j] - maximum, noise.temperature) + rough_noise(w[j])); }
        }
    };

    each([&](const float (&x)[QUAD], int i)
    {
        rough(x, i, best - margin, [&](int j, u32, float score)
        {
            second = fmaxf(second, fminf(best, score));
            if (score > best)
            {
                best = score;
                bestX = x[j];
                bestIndex = i + j;
            }
        });
    });
    const float least = value_of(block_max(key_of(best, 0))) - margin;
    Drawn drawn = nothing_drawn();
    if (!__syncthreads_or(second >= least))
    {
        if (bestIndex >= 0 && best >= least)
        {
            drawn.id = firstToken + bestIndex;
            drawn.score = score_of(bestX, word_of(noise, drawn.id), noise.temperature);
        }
        return block_best(drawn);
    }

    each([&](const float (&x)[QUAD], int i)
    {
        rough(x, i, least, [&](int j, u32 word, float score)
        {
            if (score >= least)
            {
                const Drawn candidate = { score_of(x[j], word, noise.temperature), firstToken + i + j };
                drawn = better(drawn, candidate);
            }
        });
    });
    return block_best(drawn);
}
