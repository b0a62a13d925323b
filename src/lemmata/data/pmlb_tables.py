"""The 72 tables of PMLB with at most 5,000 samples that `pmlb` reads: names, checksums and sizes.

Each file is the one that the Penn Machine Learning Benchmarks published: its md5, its bytes, and what it holds. The
names are PMLB's first ones; some are called `_deprecated_NAME` there today, with the same bytes.

Source: Olson, La Cava, Orzechowski, Urbanowicz, Moore (2017), PMLB: a large benchmark suite for machine learning
evaluation and comparison, BioData Mining 10:36. MIT licence (PMLB); most tables come from the UCI repository.
"""

from typing import NamedTuple


class Table(NamedTuple):
    """One published file NAME.tsv.gz: md5, size in bytes, and how many samples, features and classes it has."""

    name: str
    md5: str
    size: int
    samples: int
    features: int
    classes: int


# fmt: off
TABLES = (
    Table("appendicitis", "692b8f66c3834d0a58e4d448499b44f3", 1_681, 106, 7, 2),
    Table("australian", "389ebc39c8fb7d29eddfcc90cc2504b9", 8_596, 690, 14, 2),
    Table("backache", "6a03a5f7fdb3df8598a4c2caf96b7741", 3_096, 180, 32, 2),
    Table("balance-scale", "a6e9cdd23cf6fecd14f87593085d7c68", 1_331, 625, 4, 3),
    Table("biomed", "72b3d19df361123c3d38f945ed56e084", 2_901, 209, 8, 2),
    Table("breast-cancer", "c1fcb9505f2a1a7e4fab35052be8af07", 1_250, 286, 9, 2),
    Table("breast-w", "ee0bd1d68d53687e5838aaf5807faed0", 3_501, 699, 9, 2),
    Table("car", "c979a9d1ec1e5a9643df87bfc8606586", 4_101, 1_728, 6, 4),
    Table("clean1", "e4548ec230af8e2d20cdd0dd38b3d2bd", 116_698, 476, 168, 2),
    Table("cleveland", "45eef67371b429b97cf3d505ad9b3427", 3_452, 303, 13, 5),
    Table("cloud", "7ad01ad66fe2c19b1309020ff00e8422", 1_461, 108, 7, 4),
    Table("cmc", "533873d49bc920cce596760cc4daade8", 6_431, 1_473, 9, 3),
    Table("corral", "a78feff9e830cfe0438d0fc96c43ffbf", 303, 160, 6, 2),
    Table("credit-a", "4a1e9362d5278a092f063f12a616c210", 8_123, 690, 15, 2),
    Table("credit-g", "bde686d6f53be7b784a799591dbd9fae", 12_283, 1_000, 20, 2),
    Table("dermatology", "a4ee15d6ea5004c9e13216a76e551523", 4_499, 366, 34, 6),
    Table("dna", "ab44df7802a9cccece51073d331edc69", 79_572, 3_186, 180, 3),
    Table("ecoli", "69cf290f3803ffdbb7ea589f359a8210", 2_527, 327, 7, 5),
    Table("flags", "6e0f861ab66427474430a0240747f5e2", 1_652, 178, 43, 5),
    Table("flare", "228f3bab25026d71b5a332a2c5ed21ad", 2_713, 1_066, 10, 2),
    Table("glass", "0e7ace17356b6d4bd1f39668da77a0ce", 3_259, 205, 9, 5),
    Table("glass2", "c255dfca5e0a6fe8791a6cba07d939c0", 2_700, 163, 9, 2),
    Table("haberman", "3404516932edc77878084be6cf0982cb", 1_040, 306, 3, 2),
    Table("hayes-roth", "1547860abb3c7e456835d3d74f894d11", 493, 160, 4, 3),
    Table("heart-h", "215c6183e01cb2f3e97055776ced484c", 2_404, 294, 13, 2),
    Table("heart-statlog", "1a43a8d2b4ddb1f758e2b46df7ebfe2b", 3_298, 270, 13, 2),
    Table("hepatitis", "f36a0c93dbb10b80144c8a6b60e6a9f6", 1_999, 155, 19, 2),
    Table("Hill_Valley_with_noise", "ffec697a43d873ba6548bbbf0e973111", 354_224, 1_212, 100, 2),
    Table("Hill_Valley_without_noise", "eabf9ac0adb00a31aab137234f76b328", 531_694, 1_212, 100, 2),
    Table("horse-colic", "8aa68142ce55cff5057bdb85d993e691", 5_279, 368, 22, 2),
    Table("house-votes-84", "54d8a7d1046d148c4e35d908bfb8fb40", 2_054, 435, 16, 2),
    Table("hypothyroid", "5987812599ad9e2f51d4c1c4461df7e3", 30_549, 3_163, 25, 2),
    Table("ionosphere", "5f5bb2ef2fb44883f0372d9d75807de6", 31_351, 351, 34, 2),
    Table("iris", "d876c2c819374d016a9eec319ae022c4", 856, 150, 4, 3),
    Table("kr-vs-kp", "e0ea56fe7b78d90ad1d5757896c30e17", 11_880, 3_196, 36, 2),
    Table("labor", "5d1f11f27b7d2024f9b91e77da4fe0b9", 809, 57, 16, 2),
    Table("led24", "0fd4f8e5d164dc149bc5e2ef2b3bec01", 19_053, 3_200, 24, 10),
    Table("led7", "26c4f9929b7db1e9ad45dd074cd09194", 3_644, 3_200, 7, 10),
    Table("lupus", "1484c0f218c6e65189b43a2164d90a17", 471, 87, 3, 2),
    Table("mofn-3-7-10", "71913c3f1af322f4425ba7accc8839cc", 3_634, 1_324, 10, 2),
    Table("monk1", "8fdaad64dcc6f7c11059e1b6148a5261", 1_281, 556, 6, 2),
    Table("monk2", "adecff3ee1660f1b3542c2844cb24e15", 1_345, 601, 6, 2),
    Table("monk3", "8074f0655cedaac42d5168c38a461f19", 1_288, 554, 6, 2),
    Table("movement_libras", "07778c56f9638eb415227254bd7a5168", 62_546, 360, 90, 15),
    Table("mux6", "38951a32ef8d95e8d93c06f76c16bce8", 268, 128, 6, 2),
    Table("new-thyroid", "9d79d62375f752425d40f488193132bd", 1_669, 215, 5, 3),
    Table("parity5+5", "22031f7aecb02cd0e3740c8b1348ec28", 3_257, 1_124, 10, 2),
    Table("parity5", "a6e49b5cc616723328b6e93c96873164", 160, 32, 5, 2),
    Table("pima", "31e78038e599bb241be555e7052ffe76", 9_601, 768, 8, 2),
    Table("postoperative-patient-data", "dea7465ebad9c8b021e3dfbf5a194bfe", 425, 88, 8, 2),
    Table("prnn_crabs", "7bbbe03a626df864adbc3bb11cbddd0b", 2_263, 200, 7, 2),
    Table("prnn_synth", "d2eedfb76fc59ca1a8650c933eb1fb83", 2_806, 250, 2, 2),
    Table("saheart", "47568897fbb0d93b3bcf24371993124c", 7_378, 462, 9, 2),
    Table("segmentation", "ad9d98fb0f3e8c5002df83f942952e09", 111_831, 2_310, 19, 7),
    Table("solar-flare_2", "3d8949ac5b6ea78bfcc944585b381ee8", 2_922, 1_066, 12, 6),
    Table("sonar", "575a5d0a2fef79e7894a78e5020e19d9", 28_731, 208, 60, 2),
    Table("soybean", "23f65ea0fa7630874eaadd2f38d92cba", 4_266, 675, 35, 18),
    Table("spambase", "9cbc8646e05a17390ca2b7816a35d1a2", 132_367, 4_601, 57, 2),
    Table("spect", "d9fab078242feea7fe8a0560fd14914f", 1_291, 267, 22, 2),
    Table("spectf", "a90e3a0824fe93730b70c2d476ca4df3", 15_570, 349, 44, 2),
    Table("splice", "1e23a9e55da4bea0df9fed9af4ec00a6", 69_522, 3_188, 60, 3),
    Table("tae", "469679fb2a8ad68fa291b84d244dd2fc", 676, 151, 5, 3),
    Table("threeOf9", "679f56e3924b8bc66793454fed761e12", 1_458, 512, 9, 2),
    Table("tic-tac-toe", "6582604001f176308256a82cbaefd8a8", 3_355, 958, 9, 2),
    Table("vehicle", "db10fba69745b3d3accc9a9c82d30ace", 19_819, 846, 18, 4),
    Table("vowel", "ba54cd8906bbdf1a0e55733aeea7276a", 27_386, 990, 13, 11),
    Table("waveform-21", "9a32f9348bc2d18295a0a2d3e7323c97", 180_509, 5_000, 21, 3),
    Table("waveform-40", "cdb25a723371a0e1e0330f6395eedf1f", 336_642, 5_000, 40, 3),
    Table("wdbc", "8f12be7771b742d9af30861f3142077e", 37_082, 569, 30, 2),
    Table("wine-recognition", "a6de57540b31fd019c83bf8a43e94aaa", 4_244, 178, 13, 3),
    Table("xd6", "c6fc29143d1052aad0e2a91596d1b179", 2_548, 973, 9, 2),
    Table("yeast", "46d7c2647dd6bb879e79309677539117", 11_331, 1_479, 8, 9),
)
# fmt: on
