"""Make ames.csv from Debian's package r-cran-modeldata.

    apt-get download r-cran-modeldata
    uv run --no-project --with rdata==1.1.0 datasets/ames/make.py r-cran-modeldata_1.1.0-1_all.deb

R keeps a package's data in one "lazy-load" file: an index (.rdx, an RDS file: name → offset and
length) and the compressed values one after the other (.rdb: four bytes of length, one letter that
names the compression, the RDS bytes). `dpkg-deb` unpacks the package, `rdata` reads RDS.
"""

from __future__ import annotations

import bz2
import lzma
import subprocess
import sys
import tempfile
import zlib
from pathlib import Path

import rdata

COLUMNS = {  # R's name → ours: snake case, unit in the name
    "Sale_Price": "price_usd",
    "Gr_Liv_Area": "living_sqft",
    "Lot_Area": "lot_sqft",
    "Total_Bsmt_SF": "basement_sqft",
    "Garage_Cars": "garage_cars",
    "Full_Bath": "full_baths",
    "Bedroom_AbvGr": "bedrooms",
    "Year_Built": "year_built",
    "Year_Sold": "year_sold",
    "Neighborhood": "neighborhood",
}
DATA = "usr/lib/R/site-library/modeldata/data"


def unpack(block: bytes) -> bytes:
    """Return the RDS bytes of one block of a lazy-load file."""
    length, letter = int.from_bytes(block[:4], "big"), block[4:5]
    if letter == b"2":
        raw = bz2.decompress(block[5:])
    elif letter == b"Z":
        raw = lzma.decompress(block[5:], lzma.FORMAT_RAW, filters=[{"id": lzma.FILTER_LZMA2}])
    else:
        raw = zlib.decompress(block[4:])
    if len(raw) != length:
        raise SystemExit(f"a block unpacks to {len(raw)} bytes, its header says {length}.")
    return raw


def main(package: Path) -> None:
    """Write ames.csv beside this file."""
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(["dpkg-deb", "-x", package, folder], check=True)  # noqa: S603, S607
        data = Path(folder) / DATA
        index = rdata.conversion.convert(rdata.parser.parse_file(data / "Rdata.rdx", extension=".rds"))
        offset, length = index["variables"]["ames"]
        block = (data / "Rdata.rdb").read_bytes()[offset : offset + length]
    houses = rdata.conversion.convert(rdata.parser.parse_data(unpack(block)))
    kept = houses[list(COLUMNS)].rename(columns=COLUMNS)
    numbers = kept.columns.drop("neighborhood")
    kept[numbers] = kept[numbers].astype("int64")
    target = Path(__file__).with_name("ames.csv")
    partial = target.with_suffix(".partial")
    kept.to_csv(partial, index=False, lineterminator="\n")
    partial.replace(target)
    print(f"{target.name}: {len(kept)} rows, {target.stat().st_size} bytes")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
