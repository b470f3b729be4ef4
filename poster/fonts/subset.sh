#!/bin/sh
# Makes the two fonts of the posters from Noto Sans CJK SC. Run by hand when
# characters.txt changes (go generate ./poster), and commit what comes out.
#
#   apt-get install fonts-noto-cjk fonttools
#
# The kept files were made of fonts-noto-cjk 1:20220127+repack1-1 (Noto Sans CJK 2.004)
# with fonttools 4.38.0. The same versions make the same bytes, because the time in the
# fonts is left as it was.
set -eu
cd "$(dirname "$0")"
for weight in Regular Bold; do
  pyftsubset "/usr/share/fonts/opentype/noto/NotoSansCJK-$weight.ttc" \
    --font-number=2 --text-file=characters.txt --output-file="NotoSansSC-$weight.otf" \
    --no-hinting --layout-features='' --no-glyph-names --notdef-outline \
    --name-IDs='*' --no-recalc-timestamp
done
sha256sum -- *.otf > SHA256SUMS
