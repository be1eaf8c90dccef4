{
  # For prebuildify and node-gyp; development builds use CMakeLists.txt. Keep the two alike.
  "target_defaults": {
    "include_dirs": ["native"],
    "cflags!": ["-fno-exceptions"],
    "cflags_cc!": ["-fno-exceptions", "-fno-rtti", "-std=gnu++17", "-std=gnu++20"],
    # One order on every machine: a multiply and an add must not be fused differently from one compiler to the next.
    "cflags_cc": ["-std=c++20", "-O3", "-Wall", "-Wextra", "-fvisibility=hidden", "-fvisibility-inlines-hidden", "-ffp-contract=off"],
    "xcode_settings": {
      "GCC_ENABLE_CPP_EXCEPTIONS": "YES",
      "GCC_SYMBOLS_PRIVATE_EXTERN": "YES",
      "CLANG_CXX_LANGUAGE_STANDARD": "c++20",
      "CLANG_CXX_LIBRARY": "libc++",
      "GCC_OPTIMIZATION_LEVEL": "3",
      "MACOSX_DEPLOYMENT_TARGET": "12.0",
      "OTHER_CPLUSPLUSFLAGS": ["-ffp-contract=off"]
    }
  },
  "targets": [
    {
      "target_name": "coregain",
      "sources": [
        "<!@(node -p \"['native/core','native/greedy','native/objectives','native/pairwise','native/strategies','native/linear','native/reduce','native/render','native/train','native/node'].flatMap(d=>fs.existsSync(d)?fs.readdirSync(d).filter(f=>f.endsWith('.cc')).map(f=>d+'/'+f):[]).join(' ')\")",
        "native/kernels/dispatch.cc",
        "<!@(node -p \"fs.readdirSync('native/kernels').filter(f=>f.endsWith('_scalar.cc')).map(f=>'native/kernels/'+f).join(' ')\")"
      ],
      "include_dirs": ["<!(node -p \"require('node-addon-api').include_dir\")"],
      "defines": ["NAPI_VERSION=8", "NAPI_CPP_EXCEPTIONS"],
      "conditions": [
        ["OS=='linux'", { "ldflags": ["-static-libstdc++", "-static-libgcc", "-Wl,--exclude-libs,ALL", "-Wl,--gc-sections", "-pthread"], "libraries": ["-ldl"] }],
        ["target_arch=='x64'", { "dependencies": ["kernels_avx2", "kernels_avx512", "kernels_vnni", "kernels_amx"] }],
        ["target_arch=='arm64'", { "dependencies": ["kernels_neon"] }]
      ]
    }
  ],
  "conditions": [
    ["target_arch=='x64'", {
      # One library for each instruction set: flags belong to a target here, not to a file. These may fuse: the error
      # bounds of their results allow for either.
      "targets": [
        {
          "target_name": "kernels_avx2",
          "type": "static_library",
          "sources": ["<!@(node -p \"fs.readdirSync('native/kernels').filter(f=>f.endsWith('_avx2.cc')).map(f=>'native/kernels/'+f).join(' ')\")"],
          "cflags_cc": ["-mavx2", "-mfma", "-ffp-contract=fast"],
          "xcode_settings": { "OTHER_CPLUSPLUSFLAGS": ["-mavx2", "-mfma", "-ffp-contract=fast"] }
        },
        {
          "target_name": "kernels_avx512",
          "type": "static_library",
          "sources": ["<!@(node -p \"fs.readdirSync('native/kernels').filter(f=>f.endsWith('_avx512.cc')).map(f=>'native/kernels/'+f).join(' ')\")"],
          "cflags_cc": ["-mavx512f", "-mavx512bw", "-mavx512dq", "-mavx512vl", "-mfma", "-mprefer-vector-width=512", "-ffp-contract=fast"],
          "xcode_settings": { "OTHER_CPLUSPLUSFLAGS": ["-mavx512f", "-mavx512bw", "-mavx512dq", "-mavx512vl", "-mfma", "-mprefer-vector-width=512", "-ffp-contract=fast"] }
        },
        {
          "target_name": "kernels_vnni",
          "type": "static_library",
          "sources": ["<!@(node -p \"fs.readdirSync('native/kernels').filter(f=>f.endsWith('_vnni.cc')).map(f=>'native/kernels/'+f).join(' ')\")"],
          "cflags_cc": ["-mavx512f", "-mavx512bw", "-mavx512dq", "-mavx512vl", "-mavx512vnni", "-mfma", "-ffp-contract=fast"],
          "xcode_settings": { "OTHER_CPLUSPLUSFLAGS": ["-mavx512f", "-mavx512bw", "-mavx512dq", "-mavx512vl", "-mavx512vnni", "-mfma", "-ffp-contract=fast"] }
        },
        {
          "target_name": "kernels_amx",
          "type": "static_library",
          "sources": ["<!@(node -p \"fs.readdirSync('native/kernels').filter(f=>f.endsWith('_amx.cc')).map(f=>'native/kernels/'+f).join(' ')\")"],
          "cflags_cc": ["-mavx512f", "-mavx512bw", "-mavx512dq", "-mavx512vl", "-mavx512vnni", "-mfma", "-ffp-contract=fast", "-mamx-tile", "-mamx-int8"],
          "xcode_settings": { "OTHER_CPLUSPLUSFLAGS": ["-mavx512f", "-mavx512bw", "-mavx512dq", "-mavx512vl", "-mavx512vnni", "-mfma", "-ffp-contract=fast", "-mamx-tile", "-mamx-int8"] }
        }
      ]
    }],
    ["target_arch=='arm64'", {
      "targets": [
        {
          "target_name": "kernels_neon",
          "type": "static_library",
          "sources": ["<!@(node -p \"fs.readdirSync('native/kernels').filter(f=>f.endsWith('_neon.cc')).map(f=>'native/kernels/'+f).join(' ')\")"],
          "cflags_cc": ["-ffp-contract=fast"],
          "xcode_settings": { "OTHER_CPLUSPLUSFLAGS": ["-ffp-contract=fast"] }
        }
      ]
    }]
  ]
}
