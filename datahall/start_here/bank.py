"""Right and typical wrong answers to the one exercise of module 00."""

from datahall.checking import Bank, Wrong


def _in_order(images: int, height: int, width: int) -> int:
    return 4 * images * height * width


def _pixel_by_pixel(images: int, height: int, width: int) -> int:
    return sum(4 * height * width for _ in range(images))


def _counts_values(images: int, height: int, width: int) -> int:
    return images * height * width


def _one_image(images: int, height: int, width: int) -> int:
    return 4 * height * width


def _bits(images: int, height: int, width: int) -> int:
    return 32 * images * height * width


def _kilobytes(images: int, height: int, width: int) -> float:
    return 4 * images * height * width / 1000


BATCH_SIZE_BYTES = Bank(
    right=[_in_order, _pixel_by_pixel],
    wrong=[
        Wrong(
            _counts_values,
            says="That is the number of values; each float32 takes 4 bytes",
            idea="values are not bytes",
        ),
        Wrong(
            _one_image,
            says="That is one image; multiply by the number of images",
            idea="the batch axis is forgotten",
        ),
        Wrong(
            _bits,
            says="That is bits; a byte has 8 of them",
            idea="bits and bytes are confused",
        ),
        Wrong(
            _kilobytes,
            says="Return bytes, not kilobytes",
            idea="the unit of the name is not kept",
        ),
    ],
)
