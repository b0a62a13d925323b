"""The published logs of certification that `find_log` knows: names below the folder of each set, md5 sums and sizes.

Cohen, Rosenfeld, Kolter (2019): 13 logs of CERTIFY and 4 of PREDICT on CIFAR-10 and ImageNet, up to 513 images each,
the files of `data/` in github.com/locuslab/smoothing, which states no licence. Jeong, Shin (2020): 75 logs on MNIST, all
10,000 test images, five training methods of five runs each, the files of `data/certify/` in
github.com/jh-jeong/smoothing-consistency (MIT licence). None comes with lemmata: name their folder by --data-dir. Each
may also lie there compressed by gzip, under its name with .gz; the sums are those of the text.
"""

# ruff: noqa: E501  (a file a line)

from typing import NamedTuple


class Log(NamedTuple):
    """One file: its name, md5 and size in bytes."""

    name: str
    md5: str
    size: int


# fmt: off
COHEN_2019 = (
    Log("data/certify/cifar10/resnet110/noise_0.12/test/sigma_0.12", "3f9d9a1c8d23f26233924848e6ed3448", 16_019),
    Log("data/certify/cifar10/resnet110/noise_0.12/test/sigma_0.50", "173a977272cdb58a5eef86e9fbd1d9f5", 15_860),
    Log("data/certify/cifar10/resnet110/noise_0.25/test/sigma_0.25", "4085fd1b96287e6dd5238449e9fc224d", 10_953),
    Log("data/certify/cifar10/resnet110/noise_0.25/test/sigma_0.50", "abf43fcf4abec8f99d3a216e992842f8", 15_853),
    Log("data/certify/cifar10/resnet110/noise_0.50/test/sigma_0.50", "30982d6b4b39f9ace4d4681eb270961f", 10_770),
    Log("data/certify/cifar10/resnet110/noise_1.00/test/sigma_0.50", "0e8a06e91ada401f6d59a22f1c2cc8af", 15_735),
    Log("data/certify/cifar10/resnet110/noise_1.00/test/sigma_1.00", "850725be0f96a2f8cca32e3f9924ac81", 10_701),
    Log("data/certify/imagenet/resnet50/noise_0.25/test/sigma_0.25", "92d9cb7f237b07d7a1b071501c2679ea", 15_509),
    Log("data/certify/imagenet/resnet50/noise_0.25/test/sigma_0.50", "1c16eaf9f504630d7c67412cb7642dda", 18_041),
    Log("data/certify/imagenet/resnet50/noise_0.50/test/sigma_0.50", "3be35e1085a05b514b71b51b0466d429", 17_851),
    Log("data/certify/imagenet/resnet50/noise_0.50/train/sigma_0.50", "e3844f1bd59811570cbed82f93bdc3ea", 18_995),
    Log("data/certify/imagenet/resnet50/noise_1.00/test/sigma_0.50", "ad24b15fc945c29818604e6bfdea680e", 18_010),
    Log("data/certify/imagenet/resnet50/noise_1.00/test/sigma_1.00", "b934d2207f0da79d4b4acb21985ad489", 17_668),
    Log("data/predict/imagenet/resnet50/noise_0.25/test/N_100", "89635b69c971d1c4a1ea0ced3d74c7e8", 15_268),
    Log("data/predict/imagenet/resnet50/noise_0.25/test/N_1000", "98acedf4ddb3bc11684688644b211527", 15_296),
    Log("data/predict/imagenet/resnet50/noise_0.25/test/N_10000", "e3fcd34b9cde25a5312b2de044a055d7", 15_307),
    Log("data/predict/imagenet/resnet50/noise_0.25/test/N_100000", "442adac783f25f511ca0bbabc309bd07", 15_310),
)
JEONG_2020 = (
    Log("mnist/cohen/noise_0.25_3870", "4043a20e5bdf3fb2c59e48ce326757fe", 318_868),
    Log("mnist/cohen/noise_0.25_4067", "4eb7b0cc36b6799b60ca4fea1901d217", 318_864),
    Log("mnist/cohen/noise_0.25_6298", "3e6439451893198672fcf3802aa8e63f", 318_854),
    Log("mnist/cohen/noise_0.25_919", "f9fb01a393400595e8cb2af3b301f40f", 318_864),
    Log("mnist/cohen/noise_0.25_9555", "416f0e8a03279bdbad6204a5a810048e", 318_860),
    Log("mnist/cohen/noise_0.50_1801", "4c2d42896581c37d1b3e1a7d2833df11", 309_185),
    Log("mnist/cohen/noise_0.50_393", "390513f7994d4fca1ad9b7ced15acea8", 309_152),
    Log("mnist/cohen/noise_0.50_4490", "78d7d0a0fd07febc17b55cd664234dea", 309_198),
    Log("mnist/cohen/noise_0.50_4608", "35df44f221cc5078ff1f4839d907e73a", 309_200),
    Log("mnist/cohen/noise_0.50_880", "460377d130debf6095155e9e26b864f9", 309_174),
    Log("mnist/cohen/noise_1.00_2110", "8a23d8c48342290eacc517796e14423e", 309_806),
    Log("mnist/cohen/noise_1.00_5510", "521952a99b4fa21a4398572e9e8ef82e", 309_780),
    Log("mnist/cohen/noise_1.00_5991", "ba4465cd54e346bec5fc963cc66d0bc2", 309_757),
    Log("mnist/cohen/noise_1.00_8335", "7c54ff58c082c70e831ffafe66955509", 309_740),
    Log("mnist/cohen/noise_1.00_9609", "eb4c053ef2a66fd15852b98f8065386c", 309_763),
    Log("mnist/consistency/cohen/num_2/lbd_10.0/eta_0.5/noise_0.25_1", "c97834883ba2469c4ca19cf88be31aca", 318_893),
    Log("mnist/consistency/cohen/num_2/lbd_10.0/eta_0.5/noise_0.25_2", "78e15c0a0a4fa78d4df3ceca9b7cc570", 318_877),
    Log("mnist/consistency/cohen/num_2/lbd_10.0/eta_0.5/noise_0.25_3", "392543d590da101966f6937db4349d6c", 318_915),
    Log("mnist/consistency/cohen/num_2/lbd_10.0/eta_0.5/noise_0.25_4", "f212ef98fcc86bab2b1032a4b753d8c2", 318_886),
    Log("mnist/consistency/cohen/num_2/lbd_10.0/eta_0.5/noise_0.25_5", "614cd5f5ac238a3758f0212ba0c05587", 318_886),
    Log("mnist/consistency/cohen/num_2/lbd_5.0/eta_0.5/noise_0.50_1", "3c0b4985039144c0f4fda72a9ff7f8f4", 309_038),
    Log("mnist/consistency/cohen/num_2/lbd_5.0/eta_0.5/noise_0.50_2", "c7472353ef203b442995781f951676da", 309_086),
    Log("mnist/consistency/cohen/num_2/lbd_5.0/eta_0.5/noise_0.50_3", "5aedbe26ce203b48f40d33a81d11f19c", 309_066),
    Log("mnist/consistency/cohen/num_2/lbd_5.0/eta_0.5/noise_0.50_4", "bcbe21322640860f69c50497e0f85c74", 309_084),
    Log("mnist/consistency/cohen/num_2/lbd_5.0/eta_0.5/noise_0.50_5", "9c347172e2796214ffa0f7b0338daef8", 309_071),
    Log("mnist/consistency/cohen/num_2/lbd_5.0/eta_0.5/noise_1.00_1", "5f361e3200809014506c0e2f3c6f6315", 309_737),
    Log("mnist/consistency/cohen/num_2/lbd_5.0/eta_0.5/noise_1.00_2", "f564817f98ceac8bc32c8fbd088880e9", 309_806),
    Log("mnist/consistency/cohen/num_2/lbd_5.0/eta_0.5/noise_1.00_3", "7cfb6ebf8de65e8c936906b71825a47c", 309_699),
    Log("mnist/consistency/cohen/num_2/lbd_5.0/eta_0.5/noise_1.00_4", "8d5ab56c66439263cb3d640532588b50", 309_695),
    Log("mnist/consistency/cohen/num_2/lbd_5.0/eta_0.5/noise_1.00_5", "2f1a00432ab737396547b8df44456ce8", 309_736),
    Log("mnist/macer_deferred30/num_16/lbd_16.0/gamma_8.0/beta_16.0/noise_0.25_12", "0245e3ce3c61d09c728ea844b175905d", 318_885),
    Log("mnist/macer_deferred30/num_16/lbd_16.0/gamma_8.0/beta_16.0/noise_0.25_1576", "34ce60afcccaff2ce1d0a307751a5f26", 318_877),
    Log("mnist/macer_deferred30/num_16/lbd_16.0/gamma_8.0/beta_16.0/noise_0.25_3256", "920a444f0eae7ac99fd7eb1c84c90acb", 318_885),
    Log("mnist/macer_deferred30/num_16/lbd_16.0/gamma_8.0/beta_16.0/noise_0.25_6753", "15ecef7ba531b8b9883c1c5dba159063", 318_886),
    Log("mnist/macer_deferred30/num_16/lbd_16.0/gamma_8.0/beta_16.0/noise_0.25_8651", "b9c2d756dfc6ee8c8a3e07b377169cfe", 318_888),
    Log("mnist/macer_deferred30/num_16/lbd_16.0/gamma_8.0/beta_16.0/noise_0.50_1221", "df8a818ccd6e36ce87ce9ca0cb3f7fe0", 309_243),
    Log("mnist/macer_deferred30/num_16/lbd_16.0/gamma_8.0/beta_16.0/noise_0.50_149", "913c76e75c6fe0d9e9bf758a63ace8b1", 309_244),
    Log("mnist/macer_deferred30/num_16/lbd_16.0/gamma_8.0/beta_16.0/noise_0.50_2869", "45b3d24ce5895cbc15fbb3812bd7ede4", 309_212),
    Log("mnist/macer_deferred30/num_16/lbd_16.0/gamma_8.0/beta_16.0/noise_0.50_4292", "4cf755f2a346c46481a2f118f7e0bf2b", 309_237),
    Log("mnist/macer_deferred30/num_16/lbd_16.0/gamma_8.0/beta_16.0/noise_0.50_4711", "90847c1f71fa2030d1959140419015b8", 309_185),
    Log("mnist/macer_deferred30/num_16/lbd_6.0/gamma_8.0/beta_16.0/noise_1.00_1549", "77b61c40a84c225d9821e1c22a9ba04c", 310_424),
    Log("mnist/macer_deferred30/num_16/lbd_6.0/gamma_8.0/beta_16.0/noise_1.00_4153", "392d87f865582a928500a67075e65f43", 310_532),
    Log("mnist/macer_deferred30/num_16/lbd_6.0/gamma_8.0/beta_16.0/noise_1.00_505", "a72d133cd735ce117b0bf5dbf47d61bf", 310_477),
    Log("mnist/macer_deferred30/num_16/lbd_6.0/gamma_8.0/beta_16.0/noise_1.00_508", "560c8a49d16fc489148e94b6a1d962bb", 310_432),
    Log("mnist/macer_deferred30/num_16/lbd_6.0/gamma_8.0/beta_16.0/noise_1.00_7191", "37c8a035a74ebe653da4478a8d0caf47", 310_473),
    Log("mnist/salman/pgd_255.0_10_10/num_4/noise_0.25_3762", "52eecb3d9d343518d4bf4432c019cd52", 318_927),
    Log("mnist/salman/pgd_255.0_10_10/num_4/noise_0.25_4448", "1365eb893c315cc9d6131a124a602ce4", 318_907),
    Log("mnist/salman/pgd_255.0_10_10/num_4/noise_0.25_4935", "7a735737b671fda6c1b4a489f415e081", 318_903),
    Log("mnist/salman/pgd_255.0_10_10/num_4/noise_0.25_7656", "11fa5bb415fa108822d1361c271e44a7", 318_902),
    Log("mnist/salman/pgd_255.0_10_10/num_4/noise_0.25_9914", "e75155f210167f727317cfe99897a065", 318_895),
    Log("mnist/salman/pgd_255.0_10_10/num_4/noise_0.50_3916", "00e9fe7deaca97483842fdb52ce7bdb3", 309_179),
    Log("mnist/salman/pgd_255.0_10_10/num_4/noise_0.50_4372", "1c6b0e38c59b817284a89136532b0696", 309_199),
    Log("mnist/salman/pgd_255.0_10_10/num_4/noise_0.50_5218", "b7e9333e3a55ebdbbab5911dbcecd474", 309_136),
    Log("mnist/salman/pgd_255.0_10_10/num_4/noise_0.50_5947", "db283f4ca37cf5ae42dd937650280df1", 309_163),
    Log("mnist/salman/pgd_255.0_10_10/num_4/noise_0.50_647", "4ce1b127c5868457e0a088dd1ad63b79", 309_194),
    Log("mnist/salman/pgd_255.0_10_10/num_4/noise_1.00_1099", "f538995c179e98bf3987c7ae4ed3eea9", 309_706),
    Log("mnist/salman/pgd_255.0_10_10/num_4/noise_1.00_1316", "40b008bd76c5c8af206b92974427cf22", 309_668),
    Log("mnist/salman/pgd_255.0_10_10/num_4/noise_1.00_2083", "d1422b42f4d7b0cf5fb59c2883895d50", 309_698),
    Log("mnist/salman/pgd_255.0_10_10/num_4/noise_1.00_5533", "b8c8e84a58aeb21949a842381750cc1c", 309_616),
    Log("mnist/salman/pgd_255.0_10_10/num_4/noise_1.00_8071", "cb284c6b691f186e26827e66a5ca409c", 309_707),
    Log("mnist/stab/lbd_2/noise_0.25_4654", "e5f105ee728f91a69c06c450636830a0", 318_885),
    Log("mnist/stab/lbd_2/noise_0.25_5123", "5f4bbf9329e4032aabc6865b18425159", 318_865),
    Log("mnist/stab/lbd_2/noise_0.25_7691", "6a7ddfd93e8a7180b6f015c9398b5c5d", 318_888),
    Log("mnist/stab/lbd_2/noise_0.25_8971", "004ee8cb7389fcfe2e4966b4234093c4", 318_875),
    Log("mnist/stab/lbd_2/noise_0.25_9926", "74fa85b1ce30b5f0be7fb5a1d2cc15a7", 318_856),
    Log("mnist/stab/lbd_2/noise_0.5_1297", "ac728696d3a3faa2d1420f7c65e16003", 309_123),
    Log("mnist/stab/lbd_2/noise_0.5_1590", "f1ce295dc76fda5aa224048ef6ac224a", 309_080),
    Log("mnist/stab/lbd_2/noise_0.5_4945", "2c6f93e4b782ef28404876563634820e", 309_092),
    Log("mnist/stab/lbd_2/noise_0.5_5843", "69a149fcb8b67ccf8c1ca278c6d1358d", 309_128),
    Log("mnist/stab/lbd_2/noise_0.5_6664", "9776c77faac4ee7d365f8e5c8fc81620", 309_100),
    Log("mnist/stab/lbd_2/noise_1.0_1944", "70eb412d65cab4fdf31c989777f1164f", 309_740),
    Log("mnist/stab/lbd_2/noise_1.0_6029", "62a0e24590fb96443752dc0550da9a9b", 309_754),
    Log("mnist/stab/lbd_2/noise_1.0_6211", "1058d1faa9fba080e73fafbe972dfbe7", 309_781),
    Log("mnist/stab/lbd_2/noise_1.0_6878", "e10591a8fffbb7f540f5325f853df501", 309_744),
    Log("mnist/stab/lbd_2/noise_1.0_7840", "0a51c384381cc0ee8263512f78a4e508", 309_762),
)
# fmt: on
