/* Every kernel, as one unit: `nvcc --ptx` makes one module of it, the tests one shared library. */

#include "common.cuh"

#include "fold.cuh"

#include "convolution.cuh"
#include "decode.cuh"
#include "norm.cuh"
#include "rules.cuh"
