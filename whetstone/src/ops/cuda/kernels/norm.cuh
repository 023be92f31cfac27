/* Batch statistics; norm, pool and activation in one, forwards and backwards. */

/* The sums behind mean and variance of each channel of `x`, (rows, channels), over every
 * `chunks`-th row, shifted by the channel's first value; one thread a channel and chunk.
 * `sums` is (chunks, 2, channels): of the values, then of their squares. */
struct moments {
    struct Floats x;
    struct Doubles sums;
    uint32_t rows;
    uint32_t channels;
    uint32_t chunks;
};

KERNEL(moments) {
    const uint32_t t = THREAD;
    if (t >= a.chunks * a.channels) return;
    const uint32_t channel = t % a.channels;
    const uint32_t chunk = t / a.channels;
    const double shift = AT(a.x, channel);
    double sum = 0.0, squares = 0.0;
    for (uint32_t row = chunk; row < a.rows; row += a.chunks) {
        const double v = AT(a.x, (uint64_t)row * a.channels + channel) - shift;
        sum += v;
        squares += v * v;
    }
    AT(a.sums, (uint64_t)chunk * 2 * a.channels + channel) = sum;
    AT(a.sums, ((uint64_t)chunk * 2 + 1) * a.channels + channel) = squares;
}

/* Mean and biased variance, `statistics` of (2, channels), from the sums; one thread a channel. */
struct moments_end {
    struct Floats x;
    struct Doubles sums;
    struct Doubles statistics;
    uint32_t rows;
    uint32_t channels;
};

KERNEL(moments_end) {
    const uint32_t c = THREAD;
    if (c >= a.channels) return;
    const double shifted = AT(a.sums, c) / a.rows;
    const double variance = AT(a.sums, a.channels + c) / a.rows - shifted * shifted;
    AT(a.statistics, c) = AT(a.x, c) + shifted;
    /* Rounding can push equal values below zero; NaN is left as it is. */
    AT(a.statistics, a.channels + c) = variance < 0.0 ? 0.0 : variance;
}

/* The norm per channel, `map` of (3, channels): mean, 1 / deviation, gamma / deviation. */
struct norm_map {
    struct Doubles statistics;
    struct Floats gamma;
    struct Floats map;
    double epsilon;
    uint32_t channels;
};

KERNEL(norm_map) {
    const uint32_t c = THREAD;
    if (c >= a.channels) return;
    const double inverse = 1.0 / sqrt(AT(a.statistics, a.channels + c) + a.epsilon);
    AT(a.map, c) = (float)AT(a.statistics, c);
    AT(a.map, a.channels + c) = (float)inverse;
    AT(a.map, 2 * a.channels + c) = (float)(inverse * AT(a.gamma, c));
}

/* An activation at a sharpness. */
enum { CLIP = 0, LOGISTIC = 1, STEP = 2 };

struct Curve {
    uint32_t kind;
    /* Slope, gain or threshold. */
    float parameter;
};

/* Where the logistic curve's exponent is clipped. */
#define EXPONENT_MAX 40.0f

DEVICE float curve_value(struct Curve curve, float x) {
    if (curve.kind == CLIP) {
        /* Written so that NaN falls through both: a network that diverged must say so. */
        float y = curve.parameter * (x - 0.5f) + 0.5f;
        y = y < 0.0f ? 0.0f : y;
        return y > 1.0f ? 1.0f : y;
    }
    if (curve.kind == LOGISTIC) {
        float exponent = -(curve.parameter * x);
        exponent = exponent > EXPONENT_MAX ? EXPONENT_MAX : exponent;
        exponent = exponent < -EXPONENT_MAX ? -EXPONENT_MAX : exponent;
        return 1.0f / (1.0f + expf(exponent));
    }
    return x >= curve.parameter ? 1.0f : 0.0f;
}

DEVICE float curve_slope(struct Curve curve, float x) {
    if (curve.kind == CLIP) {
        const float y = curve.parameter * (x - 0.5f) + 0.5f;
        return y >= 0.0f && y <= 1.0f ? curve.parameter : 0.0f;
    }
    if (curve.kind == LOGISTIC) {
        const float exponent = curve.parameter * x;
        const float y = curve_value(curve, x);
        const int within = exponent <= EXPONENT_MAX && exponent >= -EXPONENT_MAX;
        return within ? curve.parameter * y * (1.0f - y) : 0.0f;
    }
    return 0.0f;
}

/* Images (images, height, width, channels) and whether 2 × 2 pixels are pooled. */
struct Grid {
    uint32_t images;
    uint32_t height;
    uint32_t width;
    uint32_t channels;
    uint32_t pooled;
};

/* The first pixel under an output pixel. */
DEVICE uint32_t grid_first(struct Grid g, uint32_t output) {
    if (!g.pooled) return output;
    const uint32_t rows = g.height / 2, columns = g.width / 2;
    const uint32_t x = output % columns, row = output / columns;
    return (row / rows * g.height + 2 * (row % rows)) * g.width + 2 * x;
}

/* The pixel under an output pixel, of four or one, row by row. */
DEVICE uint64_t grid_pixel(struct Grid g, uint32_t first, uint32_t i) {
    return (uint64_t)(first + i / 2 * g.width + i % 2) * g.channels;
}

/* activation(pool(norm(x))); one thread a number of `y`. */
struct norm_forward {
    struct Floats x;
    struct Floats map;
    struct Floats beta;
    struct Floats y;
    struct Grid g;
    struct Curve curve;
    uint32_t count;
};

KERNEL(norm_forward) {
    const uint32_t t = THREAD;
    if (t >= a.count) return;
    const uint32_t c = t % a.g.channels;
    const uint32_t first = grid_first(a.g, t / a.g.channels);
    const float mean = AT(a.map, c), rate = AT(a.map, 2 * a.g.channels + c), shift = AT(a.beta, c);
    const uint32_t pixels = a.g.pooled ? 4 : 1;
    float largest = (AT(a.x, grid_pixel(a.g, first, 0) + c) - mean) * rate + shift;
    for (uint32_t i = 1; i < pixels; ++i) {
        const float z = (AT(a.x, grid_pixel(a.g, first, i) + c) - mean) * rate + shift;
        largest = z > largest ? z : largest;
    }
    AT(a.y, t) = curve_value(a.curve, largest);
}

/* Writes what arrives in front of the activation, `dz` of an output pixel, and adds it and its
 * product with the normalised value up over every `chunks`-th output pixel; one thread a channel
 * and chunk. `sums` is (chunks, 2, channels). */
struct norm_reduce {
    struct Floats x;
    struct Floats map;
    struct Floats beta;
    struct Floats dy;
    struct Floats dz;
    struct Doubles sums;
    struct Grid g;
    struct Curve curve;
    uint32_t outputs;
    uint32_t chunks;
};

KERNEL(norm_reduce) {
    const uint32_t t = THREAD, channels = a.g.channels;
    if (t >= a.chunks * channels) return;
    const uint32_t c = t % channels, chunk = t / channels;
    const float mean = AT(a.map, c), inverse = AT(a.map, channels + c);
    const float rate = AT(a.map, 2 * channels + c), shift = AT(a.beta, c);
    const uint32_t pixels = a.g.pooled ? 4 : 1;
    double sum = 0.0, product = 0.0;
    for (uint32_t output = chunk; output < a.outputs; output += a.chunks) {
        const uint32_t first = grid_first(a.g, output);
        float centred = AT(a.x, grid_pixel(a.g, first, 0) + c) - mean;
        float largest = centred * rate + shift;
        for (uint32_t i = 1; i < pixels; ++i) {
            const float other = AT(a.x, grid_pixel(a.g, first, i) + c) - mean;
            const float z = other * rate + shift;
            centred = z > largest ? other : centred;
            largest = z > largest ? z : largest;
        }
        const uint64_t at = (uint64_t)output * channels + c;
        const float d = AT(a.dy, at) * curve_slope(a.curve, largest);
        AT(a.dz, at) = d;
        sum += d;
        product += d * centred * inverse;
    }
    AT(a.sums, (uint64_t)chunk * 2 * channels + c) = sum;
    AT(a.sums, ((uint64_t)chunk * 2 + 1) * channels + c) = product;
}

/* The gradients by gamma and beta, and `back`, (2, channels): what the batch's own statistics add
 * to every dx, offset + tilt · (x − mean); one thread a channel. */
struct norm_back {
    struct Doubles sums;
    struct Floats map;
    struct Floats back;
    struct Floats dgamma;
    struct Floats dbeta;
    /* 1 / values per channel, or 0 for moving statistics. */
    double per_value;
    uint32_t channels;
};

KERNEL(norm_back) {
    const uint32_t c = THREAD;
    if (c >= a.channels) return;
    const double sum = AT(a.sums, c), product = AT(a.sums, a.channels + c);
    const double inverse = AT(a.map, a.channels + c), rate = AT(a.map, 2 * a.channels + c);
    AT(a.back, c) = (float)-(rate * sum * a.per_value);
    AT(a.back, a.channels + c) = (float)(-(rate * product * a.per_value) * inverse);
    AT(a.dbeta, c) = (float)sum;
    AT(a.dgamma, c) = (float)product;
}

/* dx: the statistics' share everywhere, and dz at the first largest value of each window. One
 * thread a window and channel; those that an odd edge cuts off have no dz. */
struct norm_spread {
    struct Floats x;
    struct Floats map;
    struct Floats beta;
    struct Floats back;
    struct Floats dz;
    struct Floats dx;
    struct Grid g;
    uint32_t count;
};

KERNEL(norm_spread) {
    const uint32_t t = THREAD, channels = a.g.channels;
    if (t >= a.count) return;
    const uint32_t c = t % channels, window = t / channels;
    const float mean = AT(a.map, c), rate = AT(a.map, 2 * channels + c), shift = AT(a.beta, c);
    const float offset = AT(a.back, c), tilt = AT(a.back, channels + c);
    if (!a.g.pooled) {
        AT(a.dx, t) = AT(a.dz, t) * rate + offset + tilt * (AT(a.x, t) - mean);
        return;
    }
    const uint32_t rows = (a.g.height + 1) / 2, columns = (a.g.width + 1) / 2;
    const uint32_t x = window % columns * 2, y = window / columns % rows * 2;
    const uint32_t image = window / columns / rows;
    const uint32_t first = (image * a.g.height + y) * a.g.width + x;
    float left = 0.0f, largest = 0.0f;
    const int whole = y + 1 < a.g.height && x + 1 < a.g.width;
    if (whole) {
        const uint32_t output =
            (image * (a.g.height / 2) + y / 2) * (a.g.width / 2) + x / 2;
        left = AT(a.dz, (uint64_t)output * channels + c) * rate;
        largest = (AT(a.x, grid_pixel(a.g, first, 0) + c) - mean) * rate + shift;
        for (uint32_t i = 1; i < 4; ++i) {
            const float z = (AT(a.x, grid_pixel(a.g, first, i) + c) - mean) * rate + shift;
            largest = z > largest ? z : largest;
        }
    }
    for (uint32_t i = 0; i < 4; ++i) {
        if (y + i / 2 >= a.g.height || x + i % 2 >= a.g.width) continue;
        const uint64_t at = grid_pixel(a.g, first, i) + c;
        const float centred = AT(a.x, at) - mean;
        const int takes = whole && centred * rate + shift == largest;
        const float here = takes ? left : 0.0f;
        left = takes ? 0.0f : left;
        AT(a.dx, at) = here + offset + tilt * centred;
    }
}
