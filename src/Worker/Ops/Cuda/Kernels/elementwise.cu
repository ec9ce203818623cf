// add: target += source. add_bias: target[t] += bias. gated_activation: output = act(gate) * up. gather_rows: output[i] = x[indices[i]].
// round_with_bias: output[t] = a[t] + bias, where a is f32 whatever T is: one rounding in all.
// blockIdx.y is the row; threads of the grid's x dimension share its columns. Defines: T.
#include "activation.cuh"

struct Arguments
{
    const T* a;       // source, gate or x; round_with_bias: f32
    const void* b;    // up, bias or indices
    T* output;        // target of add and add_bias: also read
    i64 aStride;
    i64 bStride;
    i64 outputStride;
    int rows;
    int columns;
    int wide;
    int kind;         // gated_activation: 0 SiLU, 1 GELU, 2 GELU by tanh; biases: element type of the bias
};

#define FIRST ((blockIdx.x * blockDim.x + threadIdx.x) * VEC)
#define STEP (gridDim.x * blockDim.x * VEC)

template <int VEC> DEVICE void add_row(const Arguments& args, i64 row)
{
    for (int i = FIRST; i < args.columns; i += STEP)
    {
        float s[VEC], t[VEC];
        T* target = args.output + row * args.outputStride + i;
        load_n<VEC, T>(args.a + row * args.aStride + i, s);
        load_n<VEC, T>(target, t);
#pragma unroll
        for (int e = 0; e < VEC; e++) { t[e] += s[e]; }
        store_n<VEC, T>(target, t);
    }
}

template <int VEC> DEVICE void gate_row(const Arguments& args, i64 row)
{
    for (int i = FIRST; i < args.columns; i += STEP)
    {
        float g[VEC], u[VEC];
        load_n<VEC, T>(args.a + row * args.aStride + i, g);
        load_n<VEC, T>((const T*)args.b + row * args.bStride + i, u);
#pragma unroll
        for (int e = 0; e < VEC; e++) { u[e] *= activate(g[e], args.kind); }
        store_n<VEC, T>(args.output + row * args.outputStride + i, u);
    }
}

template <int VEC> DEVICE void copy_row(const Arguments& args, i64 row)
{
    const i64 from = ((const int*)args.b)[row];
    for (int i = FIRST; i < args.columns; i += STEP)
    {
        float v[VEC];
        load_n<VEC, T>(args.a + from * args.aStride + i, v);
        store_n<VEC, T>(args.output + row * args.outputStride + i, v);
    }
}

#define FOR_ROWS(body) \
    pdl_launch(); \
    pdl_wait(); \
    for (i64 row = blockIdx.y; row < args.rows; row += gridDim.y) \
    { \
        if (args.wide) { body<8>(args, row); } else { body<1>(args, row); } \
    }

extern "C" __global__ void add(const Arguments args) { FOR_ROWS(add_row) }
extern "C" __global__ void gated_activation(const Arguments args) { FOR_ROWS(gate_row) }
extern "C" __global__ void gather_rows(const Arguments args) { FOR_ROWS(copy_row) }

extern "C" __global__ void add_bias(const Arguments args)
{
    pdl_launch();
    pdl_wait();
    for (i64 row = blockIdx.y; row < args.rows; row += gridDim.y)
    {
        for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < args.columns; i += gridDim.x * blockDim.x)
        {
            T* target = args.output + row * args.outputStride + i;
            *target = from_f32<T>(to_f32(*target) + load_any(args.b, args.kind, i));
        }
    }
}

extern "C" __global__ void round_with_bias(const Arguments args)
{
    pdl_launch();
    pdl_wait();
    for (i64 row = blockIdx.y; row < args.rows; row += gridDim.y)
    {
        for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < args.columns; i += gridDim.x * blockDim.x)
        {
            const float sum = ((const float*)args.a)[row * args.aStride + i] + load_any(args.b, args.kind, i);
            args.output[row * args.outputStride + i] = from_f32<T>(sum);
        }
    }
}
