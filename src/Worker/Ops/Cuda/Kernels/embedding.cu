// output[t] = table[ids[t] - firstRow], or zeros where this rank does not hold the id. Defines: T output, W table.
#include "common.cuh"

struct Arguments
{
    const W* table;
    const int* ids;
    T* output;
    i64 tableStride;
    i64 outputStride;
    int firstRow;
    int tableRows;
    int columns;
    int wide;
};

template <int VEC> DEVICE void copy_row(const W* source, T* target, int columns)
{
    for (int i = (blockIdx.y * blockDim.x + threadIdx.x) * VEC; i < columns; i += gridDim.y * blockDim.x * VEC)
    {
        float v[VEC] = {};
        if (source != nullptr) { load_n<VEC, W>(source + i, v); }
        store_n<VEC, T>(target + i, v);
    }
}

extern "C" __global__ void embedding(const Arguments args)
{
    pdl_launch();
    pdl_wait();
    const i64 row = (i64)args.ids[blockIdx.x] - args.firstRow;
    const W* source = row >= 0 && row < args.tableRows ? args.table + row * args.tableStride : nullptr;
    T* target = args.output + blockIdx.x * args.outputStride;
    if (args.wide) { copy_row<8>(source, target, args.columns); } else { copy_row<1>(source, target, args.columns); }
}
