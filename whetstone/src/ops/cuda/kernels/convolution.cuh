/* Images as matrices of patches, and back. */

/* Images (height, width, channels) and the square windows of each, (rows, columns) of them: they lie
 * `stride` pixels apart, the first with `above` rows and `before` columns beyond the edge. */
struct Windows {
    uint32_t height;
    uint32_t width;
    uint32_t channels;
    uint32_t side;
    uint32_t stride;
    uint32_t rows;
    uint32_t columns;
    uint32_t above;
    uint32_t before;
};

/* Writes the windows of some images to the rows of `patches`, (window, row, column, channel) with
 * zeros beyond the edge; one thread a number of `patches`. */
struct gather {
    struct Floats images;
    struct Floats patches;
    struct Windows w;
    uint32_t count;
};

KERNEL(gather) {
    const uint32_t t = THREAD;
    if (t >= a.count) return;
    uint32_t rest = t / a.w.channels;
    const uint32_t channel = t % a.w.channels;
    const uint32_t column = rest % a.w.side;
    rest /= a.w.side;
    const uint32_t row = rest % a.w.side;
    rest /= a.w.side;
    const uint32_t x = rest % a.w.columns * a.w.stride + column;
    rest /= a.w.columns;
    const uint32_t y = rest % a.w.rows * a.w.stride + row;
    const uint32_t image = rest / a.w.rows;
    float value = 0.0f;
    if (y >= a.w.above && x >= a.w.before && y - a.w.above < a.w.height &&
        x - a.w.before < a.w.width) {
        const uint32_t row_start = (image * a.w.height + y - a.w.above) * a.w.width;
        const uint32_t pixel = row_start + x - a.w.before;
        value = AT(a.images, (uint64_t)pixel * a.w.channels + channel);
    }
    AT(a.patches, t) = value;
}

/* Adds every number of `patches` to the pixel that `gather` took it from; one thread a number of
 * `images`, which collects from the windows that hold it. */
struct scatter {
    struct Floats patches;
    struct Floats images;
    struct Windows w;
    uint32_t count;
};

KERNEL(scatter) {
    const uint32_t t = THREAD;
    if (t >= a.count) return;
    const uint32_t channel = t % a.w.channels;
    uint32_t rest = t / a.w.channels;
    const uint32_t x = rest % a.w.width + a.w.before;
    rest /= a.w.width;
    const uint32_t y = rest % a.w.height + a.w.above;
    const uint32_t image = rest / a.w.height;
    float sum = 0.0f;
    for (uint32_t row = 0; row < a.w.side && row <= y; ++row) {
        if ((y - row) % a.w.stride != 0 || (y - row) / a.w.stride >= a.w.rows) continue;
        const uint32_t line = image * a.w.rows + (y - row) / a.w.stride;
        for (uint32_t column = 0; column < a.w.side && column <= x; ++column) {
            if ((x - column) % a.w.stride != 0 || (x - column) / a.w.stride >= a.w.columns) continue;
            const uint64_t window = line * a.w.columns + (x - column) / a.w.stride;
            sum += AT(a.patches,
                      ((window * a.w.side + row) * a.w.side + column) * a.w.channels + channel);
        }
    }
    AT(a.images, t) = sum;
}
