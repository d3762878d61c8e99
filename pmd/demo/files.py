"""Where the demo puts its annotation files and archives, as upstream calls them."""

from __future__ import annotations

from typing import Final

COCO_FILE: Final = "data/coco/captions_train2017.json"
KARPATHY_FILE: Final = "data/coco/dataset_coco.json"
COCO_ARCHIVE: Final = "data/coco/train2017.zip"
VG_REGIONS_FILE: Final = "data/visual_genome/region_descriptions.json"
VG_IMAGES_FILE: Final = "data/visual_genome/image_data.json"
LN_OPENIMAGES_FILE: Final = "data/localized_narratives/open_images_train_v6_captions.jsonl"
LN_COCO_FILE: Final = "data/localized_narratives/coco_train_captions.jsonl"
LN_COCO_FULL_FILE: Final = "data/localized_narratives/coco_train_localized_narratives-00000-of-00004.jsonl"
LN_FLICKR30K_FILE: Final = "data/localized_narratives/flickr30k_train_captions.jsonl"
LN_ADE20K_FILE: Final = "data/localized_narratives/ade20k_train_captions.jsonl"
FLICKR30K_ARCHIVE: Final = "data/flickr30k/flickr30k-images.tar"
ADE20K_ARCHIVE: Final = "data/ade20k/ADEChallengeData2016.zip"
RED_CAPS_FILE: Final = "data/red_caps/redcaps_v1.0_annotations.zip"
YFCC_FILE: Final = "data/yfcc100m/yfcc100m_dataset.bz2"
SBU_FILE: Final = "data/sbu_captions/sbu-captions-all.json"
CC3M_FILE: Final = "data/conceptual_captions/Train_GCC-training.tsv"
CC12M_FILE: Final = "data/conceptual_12m/cc12m.tsv"
WIT_FILE: Final = "data/wit/wit_v1.train.all-00000-of-00010.tsv.gz"

WIT_COLUMNS: Final = (
    "language",
    "page_url",
    "image_url",
    "page_title",
    "section_title",
    "hierarchical_section_title",
    "caption_reference_description",
    "caption_attribution_description",
    "caption_alt_text_description",
    "mime_type",
    "original_height",
    "original_width",
    "is_main_image",
    "attribution_passes_lang_id",
    "page_changed_recently",
    "context_page_description",
    "context_section_description",
)
